/* The inner loops of 3 x 3 depthwise convolutions, four channels at a time. `depthwise_convolution_2d.rs` beside this file declares the
   symbols and says what must hold before they are called; `docs/kernels.md` has the instruction budgets. */

    .syntax unified
    .cpu cortex-m4
    .thumb

/* Two image rows into one row of columns: r0 upper row, r1 lower row, r2 and r3 bytes between their pixels, on the stack the
   columns and their end. A column has two places of four words each, one word a channel: the upper row's activation in the low lane,
   the lower row's in the high lane. */
    .section .text.th_dsp_depthwise_columns, "ax", %progbits
    .balign 4
    .global th_dsp_depthwise_columns
    .type th_dsp_depthwise_columns, %function
    .thumb_func
th_dsp_depthwise_columns:
    push    {r4, r5, r6, r7, r8, r9, r10, r11, r12, lr}
    ldrd    r12, lr, [sp, #40]
1:
    ldr     r4, [r0]
    ldr     r5, [r1]
    add     r0, r0, r2
    add     r1, r1, r3
    sxtb16  r6, r4
    sxtb16  r7, r4, ror #8
    sxtb16  r10, r5
    sxtb16  r11, r5, ror #8
    pkhtb   r8, r10, r6, asr #16
    pkhtb   r9, r11, r7, asr #16
    pkhbt   r6, r6, r10, lsl #16
    pkhbt   r7, r7, r11, lsl #16
    stmia.w r12, {r6, r7, r8, r9}
    add     r12, r12, #32
    cmp     r12, lr
    bne     1b
    pop     {r4, r5, r6, r7, r8, r9, r10, r11, r12, pc}
    .size th_dsp_depthwise_columns, . - th_dsp_depthwise_columns

/* One output row of four channels: r0 columns, r1 table, r2 a block of four words: output, bytes between its pixels, bytes that the
   columns go back after a pixel, output's end. The table: 4 biases; for each of three columns and both places 4 words of weights;
   2 words of two multipliers each; 4 addends; 4 shifts.
     r0..r3 sums   r4..r7 activations   r8..r11 weights   r12 table   lr columns */
    .section .text.th_dsp_depthwise_row, "ax", %progbits
    .balign 4
    .global th_dsp_depthwise_row
    .type th_dsp_depthwise_row, %function
    .thumb_func
th_dsp_depthwise_row:
    push    {r4, r5, r6, r7, r8, r9, r10, r11, r12, lr}
    mov     lr, r0
    ldm     r2, {r4, r5, r6, r7}
    sub     sp, sp, #24
    stm     sp, {r4, r5, r6, r7}
    str     r1, [sp, #16]
1:
    ldr     r12, [sp, #16]
    ldmia.w r12!, {r0, r1, r2, r3}
    .rept 6
    ldmia.w lr!, {r4, r5, r6, r7}
    ldmia.w r12!, {r8, r9, r10, r11}
    smlad   r0, r4, r8, r0
    smlad   r1, r5, r9, r1
    smlad   r2, r6, r10, r2
    smlad   r3, r7, r11, r3
    .endr
    ldmia.w r12!, {r4, r5, r6, r7, r8, r9}
    smlawb  r0, r0, r4, r6
    smlawt  r1, r1, r4, r7
    smlawb  r2, r2, r5, r8
    smlawt  r3, r3, r5, r9
    ldmia.w r12, {r4, r5, r6, r7}
    asr     r0, r0, r4
    asr     r1, r1, r5
    asr     r2, r2, r6
    asr     r3, r3, r7
    ldm     sp, {r4, r5, r6, r7}
    ssat    r0, #8, r0
    ssat    r1, #8, r1
    ssat    r2, #8, r2
    ssat    r3, #8, r3
    bfi     r0, r1, #8, #8
    bfi     r2, r3, #8, #8
    pkhbt   r0, r0, r2, lsl #16
    str     r0, [r4]
    add     r4, r4, r5
    sub     lr, lr, r6
    str     r4, [sp]
    cmp     r4, r7
    bne     1b
    add     sp, sp, #24
    pop     {r4, r5, r6, r7, r8, r9, r10, r11, r12, pc}
    .size th_dsp_depthwise_row, . - th_dsp_depthwise_row
