/* The larger of signed bytes, four at a time. `max_pool_2d.rs` beside this file declares the symbol and says what must hold before it is called. */

    .syntax unified
    .cpu cortex-m4
    .thumb

/* r0 output, r1 first, r2 other, r3 how many bytes. The output may be the first. */
    .section .text.th_larger_bytes, "ax", %progbits
    .balign 4
    .global th_larger_bytes
    .type th_larger_bytes, %function
    .thumb_func
th_larger_bytes:
    push    {r4, lr}
    b       2f
1:
    ldr     r4, [r1], #4
    ldr     r12, [r2], #4
    ssub8   lr, r4, r12
    sel     r4, r4, r12
    str     r4, [r0], #4
2:
    subs    r3, r3, #4
    bhs     1b
    adds    r3, r3, #4
3:
    it      eq
    popeq   {r4, pc}
    ldrb    r4, [r1], #1
    ldrb    r12, [r2], #1
    ssub8   lr, r4, r12
    sel     r4, r4, r12
    strb    r4, [r0], #1
    subs    r3, r3, #1
    b       3b
    .size th_larger_bytes, . - th_larger_bytes
