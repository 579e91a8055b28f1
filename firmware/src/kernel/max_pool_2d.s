/* The larger of signed bytes, four at a time. `max_pool_2d.rs` beside this file declares the symbol and says what must hold before it is called. */

    .syntax unified
    .cpu cortex-m4
    .thumb

/* r0 output, r1 first, r2 other, r3 the output's end, at least one word away. The output may be the first. */
    .section .text.th_larger_bytes, "ax", %progbits
    .balign 4
    .global th_larger_bytes
    .type th_larger_bytes, %function
    .thumb_func
th_larger_bytes:
    push    {r4, lr}
1:
    ldr     r4, [r1], #4
    ldr     r12, [r2], #4
    ssub8   lr, r4, r12
    sel     r4, r4, r12
    str     r4, [r0], #4
    cmp     r0, r3
    bne     1b
    pop     {r4, pc}
    .size th_larger_bytes, . - th_larger_bytes
