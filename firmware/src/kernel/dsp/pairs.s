/* The inner loops for the weight layout `ChannelPairs`. `pairs.rs` beside this file declares the symbols, lays out the job that
   they read and says what must hold before they are called; `docs/kernels.md` has the instruction budgets.

   th_dsp_tile: three pixels by two output channels, six sums in r0..r5.
     r6 columns   r7 weights   r8 r9 r10 lanes of three pixels   r11 fields   r12 one channel's lanes   lr mask, or more fields
   th_dsp_row: one pixel by two output channels, the sums in r0 and r1.
     r2..r5 fields   r6 column   r7 weights   r8..r11 lanes   r12 one channel's lanes   lr mask, or the column's end
     Its loops serve `recurrent.s` too: they leave the other registers alone, end by the column's end in r5 or lr, and go on where a
     word at sp + 20 says; half a step goes on where one at sp + 16 says.

   Partial sums to leave: 0 means to requantize instead, 1 the same with shifts that may be less than 1. */

    .syntax unified
    .cpu cortex-m4
    .thumb

/* Where the fields of `Job` are; neighbours are loaded together. `pairs.rs` holds the struct to it. */
    .equ .Lpairs_biases, 16
    .equ .Lpairs_multipliers, 20
    .equ .Lpairs_doubled_zero_point, 28
    .equ .Lpairs_output, 32
    .equ .Lpairs_partials_in, 40
    .equ .Lpairs_partials_out, 44
    .equ .Lpairs_weights, 48
    .equ .Lpairs_skip, 52
    .equ .Lpairs_end, 56
    .equ .Lpairs_pairs, 64
    .equ .Lpairs_mask, 68
    .equ .Lpairs_second_entry, 72

/* What a step of the tile does with the lanes of one channel: two multiply-accumulates for each of three pixels. */
.macro th_dsp_even lanes
    smlad   r0, \lanes, r8, r0
    smlad   r1, \lanes, r9, r1
    smlad   r2, \lanes, r10, r2
.endm
.macro th_dsp_odd lanes
    smlad   r3, \lanes, r8, r3
    smlad   r4, \lanes, r9, r4
    smlad   r5, \lanes, r10, r5
.endm

/* Fields at `shift` and `shift` + `bits` are one lane step of both channels. */
.macro th_dsp_masked_step shift, bits
    ldmia.w r6!, {r8, r9, r10}
    and     r12, lr, r11, lsr #\shift
    th_dsp_even r12
    and     r12, lr, r11, lsr #(\shift + \bits)
    th_dsp_odd r12
.endm

/* How far sums go left before a shift of less than 1, and the shift that is left. */
.macro th_dsp_gain shift, gain
    rsb     \gain, \shift, #1
    bic     \gain, \gain, \gain, asr #31
    add     \shift, \shift, \gain
.endm

/* At the end of a round: another one, or on to what comes after all rounds. The mask must stay, r12 is free. */
.macro th_dsp_again round, done
    ldr     r12, [sp, #4]
    cmp     r6, r12
    bne.w   \round
    b.w     \done
.endm

    .section .text.th_dsp_tile, "ax", %progbits
    .balign 4
    .global th_dsp_tile
    .type th_dsp_tile, %function
    .thumb_func
th_dsp_tile:
    push    {r4, r5, r6, r7, r8, r9, r10, r11, lr}
    sub     sp, sp, #20
    str     r0, [sp]
    ldrd    r1, r2, [r0, #.Lpairs_end]
    ldr     r3, [r0, #.Lpairs_pairs]
    strd    r1, r2, [sp, #4]
    str     r3, [sp, #12]
    ldr     r7, [r0, #.Lpairs_weights]

.Lth_dsp_tile_pair:
    ldr     r12, [sp]
    ldr     lr, [r12, #.Lpairs_mask]
    ldr     r0, [r12, #.Lpairs_partials_in]
    ldmia   r12, {r6, r8, r9, r10, r11}
    cbnz    r0, .Lth_dsp_tile_resume
    ldrd    r2, r5, [r11], #8
    str     r11, [r12, #.Lpairs_biases]
    sub     r0, r2, r8
    sub     r1, r2, r9
    sub     r2, r2, r10
    sub     r3, r5, r8
    sub     r4, r5, r9
    sub     r5, r5, r10
    ldr     pc, [sp, #8]
.Lth_dsp_tile_resume:
    mov     r11, r0
    ldmia   r11!, {r0, r1, r2, r3, r4, r5}
    str     r11, [r12, #.Lpairs_partials_in]
    sub     r0, r0, r8
    sub     r1, r1, r9
    sub     r2, r2, r10
    sub     r3, r3, r8
    sub     r4, r4, r9
    sub     r5, r5, r10
    ldr     pc, [sp, #8]

    .balign 4
    .global th_dsp_tile_eight
    .type th_dsp_tile_eight, %function
    .thumb_func
th_dsp_tile_eight:
    .rept 4
    ldrd    r11, lr, [r7], #8
    ldmia.w r6!, {r8, r9, r10}
    sxtb16  r12, r11
    th_dsp_even r12
    sxtb16  r11, r11, ror #8
    th_dsp_odd r11
    ldmia.w r6!, {r8, r9, r10}
    sxtb16  r12, lr
    th_dsp_even r12
    sxtb16  lr, lr, ror #8
    th_dsp_odd lr
    .endr
    .global th_dsp_tile_eight_end
    .type th_dsp_tile_eight_end, %function
    .thumb_func
th_dsp_tile_eight_end:
    th_dsp_again th_dsp_tile_eight, .Lth_dsp_tile_done

    .balign 4
    .global th_dsp_tile_four
    .type th_dsp_tile_four, %function
    .thumb_func
th_dsp_tile_four:
    .rept 4
    ldr     r11, [r7], #4
    th_dsp_masked_step 0, 4
    th_dsp_masked_step 8, 4
    .endr
    .global th_dsp_tile_four_end
    .type th_dsp_tile_four_end, %function
    .thumb_func
th_dsp_tile_four_end:
    th_dsp_again th_dsp_tile_four, .Lth_dsp_tile_done

    .balign 4
    .global th_dsp_tile_two
    .type th_dsp_tile_two, %function
    .thumb_func
th_dsp_tile_two:
    .rept 2
    ldr     r11, [r7], #4
    th_dsp_masked_step 0, 2
    th_dsp_masked_step 4, 2
    th_dsp_masked_step 8, 2
    th_dsp_masked_step 12, 2
    .endr
    .global th_dsp_tile_two_end
    .type th_dsp_tile_two_end, %function
    .thumb_func
th_dsp_tile_two_end:
    th_dsp_again th_dsp_tile_two, .Lth_dsp_tile_done

.Lth_dsp_tile_done:
    ldr     r12, [sp]
    ldr     r8, [r12, #.Lpairs_partials_out]
    cmp     r8, #0
    bne     .Lth_dsp_tile_leave
    ldrd    r9, r10, [r12, #.Lpairs_multipliers]
    ldr     lr, [r12, #.Lpairs_doubled_zero_point]
    ldr     r6, [r9], #4
    ldrh    r8, [r10], #2
    strd    r9, r10, [r12, #.Lpairs_multipliers]
    lsr     r11, r8, #8
.Lth_dsp_tile_scaled:
    lsl     r9, lr, r8
    lsl     r10, lr, r11
    asr     r9, r9, #1
    asr     r10, r10, #1
    smlawb  r0, r0, r6, r9
    smlawb  r1, r1, r6, r9
    smlawb  r2, r2, r6, r9
    smlawt  r3, r3, r6, r10
    smlawt  r4, r4, r6, r10
    smlawt  r5, r5, r6, r10
    asr     r0, r0, r8
    asr     r1, r1, r8
    asr     r2, r2, r8
    asr     r3, r3, r11
    asr     r4, r4, r11
    asr     r5, r5, r11
    ssat    r0, #8, r0
    ssat    r1, #8, r1
    ssat    r2, #8, r2
    ssat    r3, #8, r3
    ssat    r4, #8, r4
    ssat    r5, #8, r5
    ldrd    r8, r9, [r12, #.Lpairs_output]
    bfi     r0, r3, #8, #8
    bfi     r1, r4, #8, #8
    bfi     r2, r5, #8, #8
    strh    r1, [r8, r9]
    strh    r2, [r8, r9, lsl #1]
    strh    r0, [r8], #2
    str     r8, [r12, #.Lpairs_output]
.Lth_dsp_tile_next:
    ldr     r0, [r12, #.Lpairs_skip]
    ldr     r1, [sp, #12]
    add     r7, r7, r0
    subs    r1, r1, #1
    str     r1, [sp, #12]
    bne.w   .Lth_dsp_tile_pair
    add     sp, sp, #20
    pop     {r4, r5, r6, r7, r8, r9, r10, r11, pc}
/* Shifts that are not to the right: the sums go left first, and the shift becomes 1. */
.Lth_dsp_tile_scale:
    ldrd    r9, r10, [r12, #.Lpairs_multipliers]
    ldrsb   r8, [r10]
    ldrsb   r11, [r10, #1]
    th_dsp_gain r8, r6
    lsl     r0, r0, r6
    lsl     r1, r1, r6
    lsl     r2, r2, r6
    th_dsp_gain r11, r6
    lsl     r3, r3, r6
    lsl     r4, r4, r6
    lsl     r5, r5, r6
    ldr     lr, [r12, #.Lpairs_doubled_zero_point]
    ldr     r6, [r9], #4
    add     r10, r10, #2
    strd    r9, r10, [r12, #.Lpairs_multipliers]
    b       .Lth_dsp_tile_scaled
.Lth_dsp_tile_leave:
    cmp     r8, #1
    beq     .Lth_dsp_tile_scale
    stmia   r8!, {r0, r1, r2, r3, r4, r5}
    str     r8, [r12, #.Lpairs_partials_out]
    b       .Lth_dsp_tile_next
    .size th_dsp_tile, . - th_dsp_tile

/* Both channels' fields at `shift` of `word`, times the lanes in `lanes`. */
.macro th_dsp_masked_row word, lanes, shift, bits
    and     r12, lr, \word, lsr #\shift
    smlad   r0, r12, \lanes, r0
    and     r12, lr, \word, lsr #(\shift + \bits)
    smlad   r1, r12, \lanes, r1
.endm
.macro th_dsp_byte_row word, lanes
    sxtb16  r12, \word
    smlad   r0, r12, \lanes, r0
    sxtb16  \word, \word, ror #8
    smlad   r1, \word, \lanes, r1
.endm

    .section .text.th_dsp_row, "ax", %progbits
    .balign 4
    .global th_dsp_row
    .type th_dsp_row, %function
    .thumb_func
th_dsp_row:
    push    {r4, r5, r6, r7, r8, r9, r10, r11, lr}
    sub     sp, sp, #24
    adr.w   r1, .Lth_dsp_row_done
    adds    r1, #1
    str     r0, [sp]
    str     r1, [sp, #20]
    ldrd    r1, r2, [r0, #.Lpairs_end]
    ldr     r3, [r0, #.Lpairs_pairs]
    ldr     r4, [r0, #.Lpairs_second_entry]
    strd    r1, r2, [sp, #4]
    strd    r3, r4, [sp, #12]
    ldr     r7, [r0, #.Lpairs_weights]

.Lth_dsp_row_pair:
    ldr     r12, [sp]
    ldrd    r6, r8, [r12]
    ldr     r11, [r12, #.Lpairs_biases]
    ldr     lr, [r12, #.Lpairs_mask]
    ldr     r5, [sp, #4]
    ldrd    r0, r1, [r11], #8
    str     r11, [r12, #.Lpairs_biases]
    sub     r0, r0, r8
    sub     r1, r1, r8
    ldr     pc, [sp, #8]

    .balign 4
    .global th_dsp_row_eight_half
    .type th_dsp_row_eight_half, %function
    .thumb_func
th_dsp_row_eight_half:
    ldrd    r2, r3, [r7], #8
    ldrd    r8, r9, [r6], #8
    th_dsp_byte_row r2, r8
    th_dsp_byte_row r3, r9
    ldr     pc, [sp, #16]
    .balign 4
    .global th_dsp_row_eight
    .type th_dsp_row_eight, %function
    .thumb_func
th_dsp_row_eight:
    .rept 4
    ldmia.w r7!, {r2, r3, r4, r5}
    ldmia.w r6!, {r8, r9, r10, r11}
    th_dsp_byte_row r2, r8
    th_dsp_byte_row r3, r9
    th_dsp_byte_row r4, r10
    th_dsp_byte_row r5, r11
    .endr
    .global th_dsp_row_eight_end
    .type th_dsp_row_eight_end, %function
    .thumb_func
th_dsp_row_eight_end:
    cmp     r6, lr
    bne.w   th_dsp_row_eight
    ldr     pc, [sp, #20]

    .balign 4
    .global th_dsp_row_four_half
    .type th_dsp_row_four_half, %function
    .thumb_func
th_dsp_row_four_half:
    ldr     r2, [r7], #4
    ldrd    r8, r9, [r6], #8
    th_dsp_masked_row r2, r8, 0, 4
    th_dsp_masked_row r2, r9, 8, 4
    ldr     pc, [sp, #16]
    .balign 4
    .global th_dsp_row_four
    .type th_dsp_row_four, %function
    .thumb_func
th_dsp_row_four:
    .rept 4
    ldrd    r2, r3, [r7], #8
    ldmia.w r6!, {r8, r9, r10, r11}
    th_dsp_masked_row r2, r8, 0, 4
    th_dsp_masked_row r2, r9, 8, 4
    th_dsp_masked_row r3, r10, 0, 4
    th_dsp_masked_row r3, r11, 8, 4
    .endr
    .global th_dsp_row_four_end
    .type th_dsp_row_four_end, %function
    .thumb_func
th_dsp_row_four_end:
    cmp     r6, r5
    bne.w   th_dsp_row_four
    ldr     pc, [sp, #20]

    .balign 4
    .global th_dsp_row_two
    .type th_dsp_row_two, %function
    .thumb_func
th_dsp_row_two:
    .rept 4
    ldr     r2, [r7], #4
    ldmia.w r6!, {r8, r9, r10, r11}
    th_dsp_masked_row r2, r8, 0, 2
    th_dsp_masked_row r2, r9, 4, 2
    th_dsp_masked_row r2, r10, 8, 2
    th_dsp_masked_row r2, r11, 12, 2
    .endr
    .global th_dsp_row_two_end
    .type th_dsp_row_two_end, %function
    .thumb_func
th_dsp_row_two_end:
    cmp     r6, r5
    bne.w   th_dsp_row_two
    ldr     pc, [sp, #20]

.Lth_dsp_row_done:
    ldr     r12, [sp]
    ldr     r8, [r12, #.Lpairs_partials_out]
    cmp     r8, #0
    bne     .Lth_dsp_row_leave
    ldrd    r9, r10, [r12, #.Lpairs_multipliers]
    ldr     lr, [r12, #.Lpairs_doubled_zero_point]
    ldr     r6, [r9], #4
    ldrh    r8, [r10], #2
    strd    r9, r10, [r12, #.Lpairs_multipliers]
    lsr     r11, r8, #8
.Lth_dsp_row_scaled:
    lsl     r9, lr, r8
    lsl     r10, lr, r11
    asr     r9, r9, #1
    asr     r10, r10, #1
    smlawb  r0, r0, r6, r9
    smlawt  r1, r1, r6, r10
    ldr     r9, [r12, #.Lpairs_output]
    asr     r0, r0, r8
    asr     r1, r1, r11
    ssat    r0, #8, r0
    ssat    r1, #8, r1
    bfi     r0, r1, #8, #8
    strh    r0, [r9], #2
    str     r9, [r12, #.Lpairs_output]
.Lth_dsp_row_next:
    ldr     r1, [sp, #12]
    subs    r1, r1, #1
    str     r1, [sp, #12]
    bne.w   .Lth_dsp_row_pair
    add     sp, sp, #24
    pop     {r4, r5, r6, r7, r8, r9, r10, r11, pc}
.Lth_dsp_row_scale:
    ldrd    r9, r10, [r12, #.Lpairs_multipliers]
    ldrsb   r8, [r10]
    ldrsb   r11, [r10, #1]
    th_dsp_gain r8, r6
    lsl     r0, r0, r6
    th_dsp_gain r11, r6
    lsl     r1, r1, r6
    ldr     lr, [r12, #.Lpairs_doubled_zero_point]
    ldr     r6, [r9], #4
    add     r10, r10, #2
    strd    r9, r10, [r12, #.Lpairs_multipliers]
    b       .Lth_dsp_row_scaled
.Lth_dsp_row_leave:
    cmp     r8, #1
    beq     .Lth_dsp_row_scale
    stmia   r8!, {r0, r1}
    str     r8, [r12, #.Lpairs_partials_out]
    b       .Lth_dsp_row_next
    .size th_dsp_row, . - th_dsp_row

/* Three lines of activations into columns: r0 r1 r2 lines, r3 columns; on the stack the columns' end. For each word of a line:
   lanes 0 and 2 of all lines, then lanes 1 and 3. */
    .section .text.th_dsp_expand, "ax", %progbits
    .balign 4
    .global th_dsp_expand
    .type th_dsp_expand, %function
    .thumb_func
th_dsp_expand:
    push    {r4, r5, r6, r7, r8, r9, r10, r11, lr}
    ldr     lr, [sp, #36]
1:
    ldr     r4, [r0], #4
    ldr     r5, [r1], #4
    ldr     r6, [r2], #4
    sxtb16  r7, r4
    sxtb16  r8, r5
    sxtb16  r9, r6
    sxtb16  r10, r4, ror #8
    sxtb16  r11, r5, ror #8
    sxtb16  r12, r6, ror #8
    stmia   r3!, {r7, r8, r9, r10, r11, r12}
    cmp     r3, lr
    bne     1b
    pop     {r4, r5, r6, r7, r8, r9, r10, r11, pc}
    .size th_dsp_expand, . - th_dsp_expand

/* The same, and adds up each line's activations in two lanes of 16 bits: at most 128 words a line, so that they hold. The third
   argument on the stack, behind the columns' end, points to three sums. */
    .section .text.th_dsp_expand_and_add, "ax", %progbits
    .balign 4
    .global th_dsp_expand_and_add
    .type th_dsp_expand_and_add, %function
    .thumb_func
th_dsp_expand_and_add:
    push    {r4, r5, r6, r7, r8, r9, r10, r11, lr}
    movs    r5, #0
    movs    r6, #0
    mov     lr, #0
1:
    ldr     r4, [r0], #4
    sxtb16  r7, r4
    sxtb16  r10, r4, ror #8
    sxtab16 r5, r5, r4
    sxtab16 r5, r5, r4, ror #8
    ldr     r4, [r1], #4
    sxtb16  r8, r4
    sxtb16  r11, r4, ror #8
    sxtab16 r6, r6, r4
    sxtab16 r6, r6, r4, ror #8
    ldr     r4, [r2], #4
    sxtb16  r9, r4
    sxtb16  r12, r4, ror #8
    sxtab16 lr, lr, r4
    sxtab16 lr, lr, r4, ror #8
    ldr     r4, [sp, #36]
    stmia   r3!, {r7, r8, r9, r10, r11, r12}
    cmp     r3, r4
    bne     1b
    ldr     r4, [sp, #40]
    ldm     r4, {r0, r1, r2}
    mov     r7, #0x00010001
    smlad   r0, r5, r7, r0
    smlad   r1, r6, r7, r1
    smlad   r2, lr, r7, r2
    stm     r4, {r0, r1, r2}
    pop     {r4, r5, r6, r7, r8, r9, r10, r11, pc}
    .size th_dsp_expand_and_add, . - th_dsp_expand_and_add

/* One line of activations into a column: r0 line, r1 column, r2 the column's end. Returns their sum. */
    .section .text.th_dsp_expand_one, "ax", %progbits
    .balign 4
    .global th_dsp_expand_one
    .type th_dsp_expand_one, %function
    .thumb_func
th_dsp_expand_one:
    push    {r4, r5, r6, lr}
    movs    r3, #0
    mov     r6, #0x00010001
1:
    ldr     r4, [r0], #4
    sxtb16  r5, r4, ror #8
    sxtb16  r4, r4
    smlad   r3, r4, r6, r3
    smlad   r3, r5, r6, r3
    strd    r4, r5, [r1], #8
    cmp     r1, r2
    bne     1b
    mov     r0, r3
    pop     {r4, r5, r6, pc}
    .size th_dsp_expand_one, . - th_dsp_expand_one

/* Lines of a window, one behind the other: r0 where to, r1 the first line, r2 bytes between lines in the image, r3 bytes of a line; on
   the stack the words that cover a line, and the number of lines. Whole words are copied, so up to three bytes follow each line. */
    .section .text.th_dsp_gather, "ax", %progbits
    .balign 4
    .global th_dsp_gather
    .type th_dsp_gather, %function
    .thumb_func
th_dsp_gather:
    push    {r4, r5, r6, r7, r8, lr}
    ldrd    r4, r5, [sp, #24]
1:
    mov     r6, r0
    mov     r7, r1
    mov     r8, r4
2:
    ldr     r12, [r7], #4
    subs    r8, r8, #1
    str     r12, [r6], #4
    bne     2b
    add     r0, r0, r3
    add     r1, r1, r2
    subs    r5, r5, #1
    bne     1b
    pop     {r4, r5, r6, r7, r8, pc}
    .size th_dsp_gather, . - th_dsp_gather
