/* Sums over an image, four channels at a time. `average_pool_2d.rs` beside this file declares the symbol and says what must hold
   before it is called. */

    .syntax unified
    .cpu cortex-m4
    .thumb

/* r0 the first pixel's four channels, r1 bytes between pixels, r2 pixels, 1 to 256, so that lanes of 16 bits hold the sums, r3 four
   sums. */
    .section .text.th_dsp_sum_pixels, "ax", %progbits
    .balign 4
    .global th_dsp_sum_pixels
    .type th_dsp_sum_pixels, %function
    .thumb_func
th_dsp_sum_pixels:
    push    {r4, r5, r6, r7}
    movs    r4, #0
    movs    r5, #0
1:
    ldr     r12, [r0]
    add     r0, r0, r1
    sxtab16 r4, r4, r12
    sxtab16 r5, r5, r12, ror #8
    subs    r2, r2, #1
    bne     1b
    asr     r6, r4, #16
    asr     r7, r5, #16
    sxth    r4, r4
    sxth    r5, r5
    stm     r3!, {r4, r5, r6, r7}
    pop     {r4, r5, r6, r7}
    bx      lr
    .size th_dsp_sum_pixels, . - th_dsp_sum_pixels
