/* Copying and filling memory in 70 bytes of code, in place of the compiler's routines, which are unrolled and take 1,350. They take words as long
   as there are some, aligned or not, which ARMv7-M and ARMv8-M Mainline allow in normal memory. The names and arguments are those of the C library
   and of Arm's run-time ABI (IHI 0043), whose fill has length and value the other way round. */

    .syntax unified
    .cpu cortex-m3
    .thumb

    .section .text.th_memory_copy, "ax", %progbits
    .balign 2
    .global memcpy
    .global __aeabi_memcpy
    .global __aeabi_memcpy4
    .global __aeabi_memcpy8
    .type memcpy, %function
    .type __aeabi_memcpy, %function
    .type __aeabi_memcpy4, %function
    .type __aeabi_memcpy8, %function
    .thumb_func
memcpy:
    .thumb_func
__aeabi_memcpy:
    .thumb_func
__aeabi_memcpy4:
    .thumb_func
__aeabi_memcpy8:
    mov     r12, r0
1:
    subs    r2, r2, #4
    ittt    hs
    ldrhs   r3, [r1], #4
    strhs   r3, [r12], #4
    bhs     1b
    adds    r2, r2, #4
2:
    it      eq
    bxeq    lr
    ldrb    r3, [r1], #1
    strb    r3, [r12], #1
    subs    r2, r2, #1
    b       2b
    .size memcpy, . - memcpy

    .section .text.th_memory_fill, "ax", %progbits
    .balign 2
    .global memset
    .global __aeabi_memclr
    .global __aeabi_memclr4
    .global __aeabi_memclr8
    .global __aeabi_memset
    .global __aeabi_memset4
    .global __aeabi_memset8
    .type memset, %function
    .type __aeabi_memclr, %function
    .type __aeabi_memclr4, %function
    .type __aeabi_memclr8, %function
    .type __aeabi_memset, %function
    .type __aeabi_memset4, %function
    .type __aeabi_memset8, %function
    .thumb_func
__aeabi_memclr:
    .thumb_func
__aeabi_memclr4:
    .thumb_func
__aeabi_memclr8:
    movs    r2, #0
    .thumb_func
__aeabi_memset:
    .thumb_func
__aeabi_memset4:
    .thumb_func
__aeabi_memset8:
    mov     r3, r1
    mov     r1, r2
    mov     r2, r3
    .thumb_func
memset:
    uxtb    r1, r1
    orr     r1, r1, r1, lsl #8
    orr     r1, r1, r1, lsl #16
    mov     r12, r0
1:
    subs    r2, r2, #4
    itt     hs
    strhs   r1, [r12], #4
    bhs     1b
    adds    r2, r2, #4
2:
    it      eq
    bxeq    lr
    strb    r1, [r12], #1
    subs    r2, r2, #1
    b       2b
    .size memset, . - memset
