@ Two output channels by four pixels; `convolution.rs` describes the job and says why every access stays inside its slices.
    .syntax unified
    .thumb
    .cpu cortex-m55

@ Where the fields of `Job` are; neighbours are loaded together. `convolution.rs` holds the struct to it.
    .equ .Lconvolution_second_offset, 8
    .equ .Lconvolution_delta, 16
    .equ .Lconvolution_units, 20
    .equ .Lconvolution_weights, 24
    .equ .Lconvolution_pair_bytes, 28
    .equ .Lconvolution_biases, 32
    .equ .Lconvolution_multipliers, 36
    .equ .Lconvolution_shifts, 40
    .equ .Lconvolution_pairs, 44
    .equ .Lconvolution_output, 48
    .equ .Lconvolution_output_step, 52
    .equ .Lconvolution_output_span, 56
    .equ .Lconvolution_zero_point, 60
    .equ .Lconvolution_activation_max, 68
    .equ .Lconvolution_lanes, 76

@ Stops the build unless there are `bytes` bytes between two labels, on which the way into a loop counts: a section that holds nothing gets as
@ many bytes as are too many, and then as many as are too few, of which neither can be below 0.
.macro tinyhero_same_length_convolution first, last, bytes
    .pushsection .tinyhero.lengths, "", %progbits
    .space (\last - \first) - (\bytes)
    .space (\bytes) - (\last - \first)
    .popsection
.endm

@ One vector of weights of both channels: the even channel's in q0, the odd one's in q1.
.macro tinyhero_weights_8
    vldrb.u8 q0, [r9], #16
    vldrb.u8 q1, [r9], #16
.endm

@ Four bits: the even channel's weights stand 16-fold, since that saves the shift back.
.macro tinyhero_weights_4
    vldrb.u8 q1, [r9], #16
    vshl.i8 q0, q1, #4
    vshr.s8 q1, q1, #4
.endm

@ Two bits, the vector of weights that the low halves of the bytes hold; the bytes stay in q3.
.macro tinyhero_weights_2_low
    vldrb.u8 q3, [r9], #16
    vshl.i8 q1, q3, #4
    vshl.i8 q0, q3, #6
    vshr.s8 q1, q1, #6
    vshr.s8 q0, q0, #6
.endm

@ Two bits, the vector of weights that the high halves hold.
.macro tinyhero_weights_2_high
    vshl.i8 q0, q3, #2
    vshr.s8 q1, q3, #6
    vshr.s8 q0, q0, #6
.endm

@ One vector of each of the four pixels times both channels. `other` is a second register to load into, where one is free.
.macro tinyhero_pixels multiply, other
    vldrb.u8 q2, [r1], #16
    \multiply r0, q0, q2
    \multiply r8, q1, q2
    vldrb.u8 \other, [r3], #16
    \multiply r2, q0, \other
    \multiply r10, q1, \other
    vldrb.u8 q2, [r5], #16
    \multiply r4, q0, q2
    \multiply r12, q1, q2
    vldrb.u8 \other, [r7], #16
    \multiply r6, q0, \other
    \multiply lr, q1, \other
.endm

@ A unit of the sum over a row: 16 weights a channel, 32 with two bits.
.macro tinyhero_unit bits, first
.if \bits == 2
    tinyhero_weights_2_low
    .if \first
    tinyhero_pixels vmlav.s8, q2
    .else
    tinyhero_pixels vmlava.s8, q2
    .endif
    tinyhero_weights_2_high
    tinyhero_pixels vmlava.s8, q2
.else
    tinyhero_weights_\bits
    .if \first
    tinyhero_pixels vmlav.s8, q3
    .else
    tinyhero_pixels vmlava.s8, q3
    .endif
.endif
.endm

@ `unroll` units in a row, a power of two, each of `unit_bytes` bytes of code. `preshift`: whether some channel's shift is below 1.
.macro tinyhero_convolution name, bits, unroll, unit_bytes, preshift
    .section .text.\name, "ax", %progbits
    .p2align 2
    .global \name
    .type \name, %function
    .thumb_func
\name:
    push {r4-r11, lr}
    vpush {d8-d15}
    sub sp, #68
    @ sp + 0: biases; 8: multipliers; 16, 24: shifts; 20, 28: output and its end; 32: step of the output; 36: step of the pixels;
    @ 40: weights; 44: rounds of the loop; 48: where the loop is entered; 52: job; 56: left shifts.
    str r0, [sp, #52]
    ldrd r2, r3, [r0, #.Lconvolution_zero_point]
    vdup.16 q4, r2
    vdup.16 q5, r3
    ldrd r2, r3, [r0, #.Lconvolution_activation_max]
    vdup.16 q6, r2
    vmsr p0, r3
    add r2, r0, #.Lconvolution_lanes
    vldrw.u32 q7, [r2]
    ldr r2, [r0, #.Lconvolution_output_step]
    ldr r3, [r0, #.Lconvolution_delta]
    strd r2, r3, [sp, #32]
    @ The first unit stands alone; the loop does the others and is entered where its first round has the right number left.
    ldr r2, [r0, #.Lconvolution_units]
    subs r2, #1
    adr r4, .Lfinish_\name
    beq 1f
    adr r4, .Lloop_\name
    rsb r3, r2, #0
    and r3, r3, #(\unroll - 1)
    movs r5, #\unit_bytes
    mla r4, r3, r5, r4
1:
    orr r4, r4, #1
    adds r2, #(\unroll - 1)
    movs r3, #\unroll
    udiv r3, r2, r3
    ldr r2, [r0, #.Lconvolution_weights]
    strd r2, r3, [sp, #40]
    str r4, [sp, #48]
.Lpair_\name:
    ldr r0, [sp, #52]
    ldr r1, [r0, #.Lconvolution_biases]
    ldr r2, [r1], #4
    ldr r3, [r1], #4
    str r1, [r0, #.Lconvolution_biases]
    ldr r1, [r0, #.Lconvolution_multipliers]
    ldrh r4, [r1], #2
    ldrh r5, [r1], #2
    str r1, [r0, #.Lconvolution_multipliers]
    lsls r4, r4, #15
    lsls r5, r5, #15
    strd r2, r3, [sp]
    strd r4, r5, [sp, #8]
    ldr r1, [r0, #.Lconvolution_shifts]
    ldrsb r2, [r1], #1
    ldrsb r3, [r1], #1
    str r1, [r0, #.Lconvolution_shifts]
.if \preshift
    rsb r4, r2, #1
    bic r4, r4, r4, asr #31
    rsb r5, r3, #1
    bic r5, r5, r5, asr #31
    strd r4, r5, [sp, #56]
    add r2, r2, r4
    add r3, r3, r5
.endif
    rsbs r2, r2, #0
    rsbs r3, r3, #0
    str r2, [sp, #16]
    str r3, [sp, #24]
    ldr r2, [r0, #.Lconvolution_output]
    ldr r3, [r0, #.Lconvolution_output_span]
    str r2, [sp, #20]
    add r3, r3, r2
    str r3, [sp, #28]
    adds r2, #2
    str r2, [r0, #.Lconvolution_output]
    ldrd r1, r3, [r0]
    ldrd r5, r7, [r0, #.Lconvolution_second_offset]
    add r3, r3, r1
    add r5, r5, r1
    add r7, r7, r1
.Lquad_\name:
    ldrd r9, r11, [sp, #40]
    tinyhero_unit \bits, 1
    ldr pc, [sp, #48]
.Lloop_\name:
.rept \unroll
    tinyhero_unit \bits, 0
.endr
.Lrounds_\name:
    tinyhero_same_length_convolution .Lloop_\name, .Lrounds_\name, (\unroll * \unit_bytes)
    subs.w r11, r11, #1
    bne.w .Lloop_\name
.Lfinish_\name:
    vmov d0, r0, r2
    vmov d1, r4, r6
    vmov d2, r8, r10
    vmov d3, r12, lr
    ldm.w sp, {r0, r2, r4, r6, r8, r9, r10, r11, r12, lr}
.if \bits == 4
    vshr.s32 q0, q0, #4
.endif
    vadd.i32 q0, q0, r0
    vadd.i32 q1, q1, r2
.if \preshift
    ldrd r0, r2, [sp, #56]
    vshl.s32 q0, r0
    vshl.s32 q1, r2
.endif
    vqdmulh.s32 q0, q0, r4
    vqdmulh.s32 q1, q1, r6
    vrshl.s32 q0, r8
    vrshl.s32 q1, r10
    vqmovnb.s32 q0, q0
    vqmovnt.s32 q0, q1
    vqadd.s16 q0, q0, q4
    vmax.s16 q0, q0, q5
    vmin.s16 q0, q0, q6
    vpst
    vstrbt.16 q0, [r9, q7]
    add r9, r12
    str r9, [sp, #20]
    add r1, lr
    add r3, lr
    add r5, lr
    add r7, lr
    cmp r9, r11
    bne.w .Lquad_\name
    ldr r0, [sp, #52]
    ldr r1, [sp, #40]
    ldr r2, [r0, #.Lconvolution_pair_bytes]
    ldr r3, [r0, #.Lconvolution_pairs]
    add r1, r1, r2
    str r1, [sp, #40]
    subs r3, #1
    str r3, [r0, #.Lconvolution_pairs]
    bne.w .Lpair_\name
    add sp, #68
    vpop {d8-d15}
    pop {r4-r11, pc}
    .size \name, . - \name
.endm

    tinyhero_convolution tinyhero_helium_convolution_8, 8, 8, 56, 0
    tinyhero_convolution tinyhero_helium_convolution_4, 4, 8, 60, 0
    tinyhero_convolution tinyhero_helium_convolution_2, 2, 4, 128, 0
    tinyhero_convolution tinyhero_helium_convolution_8_left, 8, 1, 56, 1
    tinyhero_convolution tinyhero_helium_convolution_4_left, 4, 1, 60, 1
    tinyhero_convolution tinyhero_helium_convolution_2_left, 2, 1, 128, 1
