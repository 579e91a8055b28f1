/* One step of a recurrent operator, over weights in the layout `ChannelPairs`. `recurrent.rs` beside this file declares the symbol, lays
   out the job and says what must hold before it is called.

   The sums of a pair of rows are those of the loops in `pairs.s`, over the column of the input, then over that of the hidden state. Each
   half is brought to the gates' steps at once. The pairs of a group wait in the frame: of each, the hidden half's sums of both rows, then the
   input half's. Then the group's values of the hidden state are updated: one of an LSTM after two pairs, two of a GRU after three. */

    .syntax unified
    .cpu cortex-m4
    .thumb

/* Where the fields of `Job` are, which is copied into the frame. */
    .equ .Lrecurrent_input, 0
    .equ .Lrecurrent_hidden, 48
    .equ .Lrecurrent_back, 96
    .equ .Lrecurrent_update, 100
    .equ .Lrecurrent_cells, 104
    .equ .Lrecurrent_next, 108
    .equ .Lrecurrent_next_end, 112
    .equ .Lrecurrent_table, 116
    .equ .Lrecurrent_gate_shift, 120
    .equ .Lrecurrent_fresh_shift, 124
    .equ .Lrecurrent_cell_shift, 128
    .equ .Lrecurrent_multiplier, 132
    .equ .Lrecurrent_addend, 136
    .equ .Lrecurrent_shift, 140
    .equ .Lrecurrent_sums_bytes, 144
    .equ .Lrecurrent_weights, 148

/* And of `Half` in it. */
    .equ .Lhalf_second_entry, 0
    .equ .Lhalf_done, 4
    .equ .Lhalf_end, 8
    .equ .Lhalf_column, 12
    .equ .Lhalf_correction, 16
    .equ .Lhalf_biases, 20
    .equ .Lhalf_mask, 24
    .equ .Lhalf_entry, 28
    .equ .Lhalf_multipliers, 32
    .equ .Lhalf_shifts, 36
    .equ .Lhalf_gain, 40
    .equ .Lhalf_gains, 44

/* The frame: the words at 16 and 20 are those that the loops of `pairs.s` go on by. */
    .equ .Lframe_job, 24
    .equ .Lframe_input, .Lframe_job + .Lrecurrent_input
    .equ .Lframe_hidden, .Lframe_job + .Lrecurrent_hidden
    .equ .Lframe_kept, 176
    .equ .Lframe_out, 184
    .equ .Lframe_sums_end, 188
    .equ .Lframe_sums, 192
    .equ .Lframe_bytes, 240

/* Starts the sums of a half in r0 and r1, and goes to its loop. */
.macro th_dsp_half half
    add     r12, sp, #\half
    ldm     r12, {r0, r1, r5, r6, r8, r11, lr}
    strd    r0, r1, [sp, #16]
    ldrd    r0, r1, [r11], #8
    str     r11, [sp, #(\half + .Lhalf_biases)]
    sub     r0, r0, r8
    sub     r1, r1, r8
    ldr     pc, [sp, #(\half + .Lhalf_entry)]
.endm

/* Multipliers of both rows in r6, their shifts in r8 (its lowest byte) and r11. The sums go so far left that no shift is less than 1. */
.macro th_dsp_half_constants half
    ldrd    r9, r10, [sp, #(\half + .Lhalf_multipliers)]
    ldrd    r11, r12, [sp, #(\half + .Lhalf_gain)]
    ldr     r6, [r9], #4
    ldrh    r8, [r10], #2
    lsl     r0, r0, r11
    lsl     r1, r1, r11
    strd    r9, r10, [sp, #(\half + .Lhalf_multipliers)]
    sadd8   r8, r8, r12
    lsr     r11, r8, #8
.endm

/* Rounds by adding the last bit that was shifted out. */
.macro th_dsp_half_rescale
    smulwb  r0, r0, r6
    smulwt  r1, r1, r6
    asrs    r0, r0, r8
    adc     r0, r0, #0
    asrs    r1, r1, r11
    adc     r1, r1, #0
.endm

/* How far the sigmoid function of `value`, below 2^17 in magnitude, times 2^`shift`, is above its middle. r10 the middle of the table, r12
   255, r2 is overwritten. */
.macro th_dsp_sigmoid value, shift
    lsl     \value, \value, \shift
    ssat    \value, #17, \value
    asr     r2, \value, #9
    ubfx    \value, \value, #0, #9
    ldr     r2, [r10, r2, lsl #1]
    orr     \value, \value, \value, lsl #16
    smlsd   \value, r2, \value, r12
    sxth    r2, r2
    sub     \value, r2, \value, asr #9
.endm

/* The value in r0 as the output has it, to `next`, whose new place is left in r1. */
.macro th_dsp_hand_out
    ldrd    r2, r3, [sp, #(.Lframe_job + .Lrecurrent_multiplier)]
    ldr     r4, [sp, #(.Lframe_job + .Lrecurrent_shift)]
    ldr     r1, [sp, #(.Lframe_job + .Lrecurrent_next)]
    smlawb  r0, r0, r2, r3
    asr     r0, r0, r4
    ssat    r0, #8, r0
    strb    r0, [r1], #1
    str     r1, [sp, #(.Lframe_job + .Lrecurrent_next)]
.endm

    .section .text.th_dsp_recurrent, "ax", %progbits
    .balign 4
    .global th_dsp_recurrent
    .type th_dsp_recurrent, %function
    .thumb_func
th_dsp_recurrent:
    push    {r4, r5, r6, r7, r8, r9, r10, r11, lr}
    sub     sp, sp, #.Lframe_bytes
    add     r1, sp, #.Lframe_job
    .rept 3
    ldm     r0!, {r2, r3, r4, r5, r6, r7, r8, r9, r10, r11}
    stm     r1!, {r2, r3, r4, r5, r6, r7, r8, r9, r10, r11}
    .endr
    ldm     r0, {r2, r3, r4, r5, r6, r7, r8, r9}
    stm     r1, {r2, r3, r4, r5, r6, r7, r8, r9}
    mov     r7, r9
    add     r12, sp, #.Lframe_sums
    add     r4, r8, r12
    str     r12, [sp, #.Lframe_out]
    str     r4, [sp, #.Lframe_sums_end]

.Lth_dsp_recurrent_pair:
    th_dsp_half .Lframe_input

    .balign 4
    .global th_dsp_recurrent_input
    .type th_dsp_recurrent_input, %function
    .thumb_func
th_dsp_recurrent_input:
    th_dsp_half_constants .Lframe_input
    th_dsp_half_rescale
    ldr     r9, [sp, #(.Lframe_job + .Lrecurrent_back)]
    strd    r0, r1, [sp, #.Lframe_kept]
    sub     r7, r7, r9
    th_dsp_half .Lframe_hidden

    .balign 4
    .global th_dsp_recurrent_hidden
    .type th_dsp_recurrent_hidden, %function
    .thumb_func
th_dsp_recurrent_hidden:
    th_dsp_half_constants .Lframe_hidden
    th_dsp_half_rescale
    ldrd    r2, r3, [sp, #.Lframe_kept]
    ldrd    r12, r9, [sp, #.Lframe_out]
    stm     r12!, {r0, r1, r2, r3}
    str     r12, [sp, #.Lframe_out]
    cmp     r12, r9
    bne.w   .Lth_dsp_recurrent_pair
    ldrd    r10, r11, [sp, #(.Lframe_job + .Lrecurrent_table)]
    str     r7, [sp, #(.Lframe_job + .Lrecurrent_weights)]
    ldr     r7, [sp, #(.Lframe_job + .Lrecurrent_update)]
    add     r12, sp, #.Lframe_sums
    str     r12, [sp, #.Lframe_out]
    add     r9, r11, #1
    bx      r7

/* r0 input gate, r1 forget gate, r4 candidate, r5 output gate. */
    .balign 4
    .global th_dsp_lstm_update
    .type th_dsp_lstm_update, %function
    .thumb_func
th_dsp_lstm_update:
    ldm     r12, {r0, r1, r2, r3, r4, r5, r6, r7}
    mov     r12, #255
    add     r0, r0, r2
    add     r1, r1, r3
    add     r4, r4, r6
    add     r5, r5, r7
    ssat    r0, #17, r0
    ssat    r1, #17, r1
    ssat    r4, #17, r4
    ssat    r5, #17, r5
    th_dsp_sigmoid r0, r11
    th_dsp_sigmoid r1, r11
    th_dsp_sigmoid r4, r9
    th_dsp_sigmoid r5, r11
    add     r0, r0, #16384
    add     r1, r1, #16384
    add     r5, r5, #16384
    mul     r0, r0, r4
    ldrd    r7, r8, [sp, #(.Lframe_job + .Lrecurrent_fresh_shift)]
    ldr     r3, [sp, #(.Lframe_job + .Lrecurrent_cells)]
    asr     r0, r0, r7
    ldrsh   r2, [r3]
    mla     r0, r1, r2, r0
    add     r0, r0, #16384
    ssat    r0, #16, r0, asr #15
    strh    r0, [r3], #2
    str     r3, [sp, #(.Lframe_job + .Lrecurrent_cells)]
    th_dsp_sigmoid r0, r8
    lsl     r5, r5, #1
    mul     r0, r0, r5
    th_dsp_hand_out
    b       .Lth_dsp_recurrent_updated

/* One value of a GRU: where in the frame its gates' sums are, of the hidden half and of the input half each. r0 update gate, r1 reset gate, r4
   candidate. */
.macro th_dsp_gru_value update_hidden, update_input, reset_hidden, reset_input, hidden, input
    ldr     r0, [sp, #(.Lframe_sums + \update_hidden)]
    ldr     r2, [sp, #(.Lframe_sums + \update_input)]
    ldr     r1, [sp, #(.Lframe_sums + \reset_hidden)]
    ldr     r3, [sp, #(.Lframe_sums + \reset_input)]
    ldr     r4, [sp, #(.Lframe_sums + \hidden)]
    ldr     r5, [sp, #(.Lframe_sums + \input)]
    add     r0, r0, r2
    add     r1, r1, r3
    ssat    r0, #17, r0
    ssat    r1, #17, r1
    ssat    r4, #16, r4
    th_dsp_sigmoid r1, r11
    th_dsp_sigmoid r0, r11
    add     r1, r1, #16384
    mul     r4, r4, r1
    ldr     r3, [sp, #(.Lframe_job + .Lrecurrent_cells)]
    add     r4, r4, #16384
    add     r4, r5, r4, asr #15
    ssat    r4, #17, r4
    th_dsp_sigmoid r4, r9
    ldrsh   r2, [r3]
    add     r1, r0, #16384
    rsb     r0, r0, #16384
    lsl     r4, r4, #1
    mul     r0, r0, r4
    mla     r0, r1, r2, r0
    add     r0, r0, #16384
    ssat    r0, #16, r0, asr #15
    strh    r0, [r3], #2
    str     r3, [sp, #(.Lframe_job + .Lrecurrent_cells)]
    th_dsp_hand_out
.endm

/* Rows 0, 1, 2 are the gates of the first value, rows 3, 4, 5 those of the second. */
    .balign 4
    .global th_dsp_gru_update
    .type th_dsp_gru_update, %function
    .thumb_func
th_dsp_gru_update:
    mov     r12, #255
    th_dsp_gru_value 0, 8, 4, 12, 16, 24
    th_dsp_gru_value 20, 28, 32, 40, 36, 44

.Lth_dsp_recurrent_updated:
    ldr     r2, [sp, #(.Lframe_job + .Lrecurrent_next_end)]
    ldr     r7, [sp, #(.Lframe_job + .Lrecurrent_weights)]
    cmp     r1, r2
    bne.w   .Lth_dsp_recurrent_pair
    add     sp, sp, #.Lframe_bytes
    pop     {r4, r5, r6, r7, r8, r9, r10, r11, pc}
    .size th_dsp_recurrent, . - th_dsp_recurrent
