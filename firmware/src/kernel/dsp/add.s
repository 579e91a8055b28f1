/* Element-wise sums. `add.rs` beside this file declares the symbol and says what must hold before it is called. */

    .syntax unified
    .cpu cortex-m4
    .thumb

/* r0 first operand, r1 second, r2 output, r3 its end, at least one word away; on the stack both multipliers in one word, the addend,
   the shift. Four sums a round. The output may be the first operand. */
    .section .text.th_dsp_add, "ax", %progbits
    .balign 4
    .global th_dsp_add
    .type th_dsp_add, %function
    .thumb_func
th_dsp_add:
    push    {r4, r5, r6, r7, r8, r9, r10, r11, r12, lr}
    add     r12, sp, #40
    ldm     r12, {r10, r11, r12}
1:
    ldr     r4, [r0], #4
    ldr     r5, [r1], #4
    sxtb16  r6, r4
    sxtb16  r7, r4, ror #8
    sxtb16  r8, r5
    sxtb16  r9, r5, ror #8
    pkhbt   r4, r6, r8, lsl #16
    pkhtb   r6, r8, r6, asr #16
    pkhbt   r5, r7, r9, lsl #16
    pkhtb   r7, r9, r7, asr #16
    smlad   r4, r4, r10, r11
    smlad   r5, r5, r10, r11
    smlad   r6, r6, r10, r11
    smlad   r7, r7, r10, r11
    asr     r4, r4, r12
    asr     r5, r5, r12
    asr     r6, r6, r12
    asr     r7, r7, r12
    ssat    r4, #8, r4
    ssat    r5, #8, r5
    ssat    r6, #8, r6
    ssat    r7, #8, r7
    bfi     r4, r5, #8, #8
    bfi     r6, r7, #8, #8
    pkhbt   r4, r4, r6, lsl #16
    str     r4, [r2], #4
    cmp     r2, r3
    bne     1b
    pop     {r4, r5, r6, r7, r8, r9, r10, r11, r12, pc}
    .size th_dsp_add, . - th_dsp_add
