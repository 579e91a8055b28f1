@ Eight output channels at a time of one vector of inputs; `fully_connected.rs` describes the job and says why every access stays
@ inside its slices.
    .syntax unified
    .thumb
    .cpu cortex-m55

@ Where the fields of `Job` are; neighbours are loaded together. `fully_connected.rs` holds the struct to it.
    .equ .Lfully_connected_units, 4
    .equ .Lfully_connected_weights, 8
    .equ .Lfully_connected_biases, 16
    .equ .Lfully_connected_shifts, 24
    .equ .Lfully_connected_channels, 32
    .equ .Lfully_connected_zero_point, 36
    .equ .Lfully_connected_activation_min, 40
    .equ .Lfully_connected_left, 48

@ Stops the build unless there are `bytes` bytes between two labels, on which the way into a loop counts: a section that holds nothing gets as
@ many bytes as are too many, and then as many as are too few, of which neither can be below 0.
.macro tinyhero_same_length_fully_connected first, last, bytes
    .pushsection .tinyhero.lengths, "", %progbits
    .space (\last - \first) - (\bytes)
    .space (\bytes) - (\last - \first)
    .popsection
.endm

@ The weights of a pair in q2 and q3; four bits leave the even channel's 16-fold.
.macro tinyhero_pair_8 pointer, multiply, even, odd
    vldrb.u8 q2, [\pointer], #16
    vldrb.u8 q3, [\pointer], #16
    \multiply \even, q0, q2
    \multiply \odd, q0, q3
.endm

.macro tinyhero_pair_4 pointer, multiply, even, odd
    vldrb.u8 q3, [\pointer], #16
    vshl.i8 q2, q3, #4
    vshr.s8 q3, q3, #4
    \multiply \even, q0, q2
    \multiply \odd, q0, q3
.endm

@ Two bits: q0 and q1 are the inputs that the low and the high halves of the bytes meet.
.macro tinyhero_pair_2 pointer, multiply, even, odd
    vldrb.u8 q2, [\pointer], #16
    vshl.i8 q3, q2, #6
    vshr.s8 q3, q3, #6
    \multiply \even, q0, q3
    vshl.i8 q3, q2, #4
    vshr.s8 q3, q3, #6
    \multiply \odd, q0, q3
    vshl.i8 q3, q2, #2
    vshr.s8 q3, q3, #6
    vmlava.s8 \even, q1, q3
    vshr.s8 q3, q2, #6
    vmlava.s8 \odd, q1, q3
.endm

@ A unit of the sum over a row: 16 inputs, 32 with two bits.
.macro tinyhero_row_unit bits, multiply
    vldrb.u8 q0, [r1], #16
.if \bits == 2
    vldrb.u8 q1, [r1], #16
.endif
    tinyhero_pair_\bits r3, \multiply, r0, r2
    tinyhero_pair_\bits r5, \multiply, r4, r6
    tinyhero_pair_\bits r7, \multiply, r8, r10
    tinyhero_pair_\bits r9, \multiply, r12, lr
.endm

@ Four sums become four outputs. r4, r5, r6, r7: biases, multipliers, shifts, output, of which the predicate says how many there are.
@ q4: 0, q5 and q6: the clamp, q7: 1; r8: zero point.
.macro tinyhero_row_outputs sums
    vpst
    vldrwt.u32 q2, [r4], #16
    vadd.i32 \sums, \sums, q2
    vpst
    vldrbt.s32 q3, [r6], #4
    vsub.i32 q3, q7, q3
    vmax.s32 q2, q3, q4
    vshl.s32 \sums, \sums, q2
    vpst
    vldrht.s32 q2, [r5], #8
    vshl.i32 q2, q2, #15
    vqdmulh.s32 \sums, \sums, q2
    vmin.s32 q3, q3, q4
    vsub.i32 q3, q3, q7
    vrshl.s32 \sums, \sums, q3
    vadd.i32 \sums, \sums, r8
    vmax.s32 \sums, \sums, q5
    vmin.s32 \sums, \sums, q6
    vpst
    vstrbt.32 \sums, [r7], #4
.endm

.macro tinyhero_fully_connected name, bits, unroll, unit_bytes
    .section .text.\name, "ax", %progbits
    .p2align 2
    .global \name
    .type \name, %function
    .thumb_func
\name:
    push {r4-r11, lr}
    vpush {d8-d15}
    sub sp, #20
    @ sp + 0: job; 4: rounds of the loop; 8: where it is entered; 12: output channels that are left.
    str r0, [sp]
    vmov.i32 q4, #0
    ldrd r2, r3, [r0, #.Lfully_connected_activation_min]
    vdup.32 q5, r2
    vdup.32 q6, r3
    vmov.i32 q7, #1
    @ The first unit stands alone; the loop does the others and is entered where its first round has the right number left.
    ldr r2, [r0, #.Lfully_connected_units]
    subs r2, #1
    adr r4, .Lfinish_\name
    beq 1f
    adr r4, .Lloop_\name
    rsb r3, r2, #0
    and r3, r3, #(\unroll - 1)
    movw r5, #\unit_bytes
    mla r4, r3, r5, r4
1:
    orr r4, r4, #1
    adds r2, #(\unroll - 1)
    movs r3, #\unroll
    udiv r3, r2, r3
    strd r3, r4, [sp, #4]
    ldr r2, [r0, #.Lfully_connected_channels]
    str r2, [sp, #12]
.Lblock_\name:
    @ Pairs that do not exist repeat the last one.
    ldr r0, [sp]
    ldrd r3, r4, [r0, #.Lfully_connected_weights]
    ldr r2, [sp, #12]
    mov r5, r3
    cmp r2, #3
    it ge
    addge r5, r5, r4
    mov r7, r5
    cmp r2, #5
    it ge
    addge r7, r7, r4
    mov r9, r7
    cmp r2, #7
    it ge
    addge r9, r9, r4
    add r4, r4, r9
    str r4, [r0, #.Lfully_connected_weights]
    ldr r1, [r0]
    ldr r11, [sp, #4]
    tinyhero_row_unit \bits, vmlav.s8
    ldr pc, [sp, #8]
.Lloop_\name:
.rept \unroll
    tinyhero_row_unit \bits, vmlava.s8
.endr
.Lrounds_\name:
    tinyhero_same_length_fully_connected .Lloop_\name, .Lrounds_\name, (\unroll * \unit_bytes)
    subs.w r11, r11, #1
    bne.w .Lloop_\name
.Lfinish_\name:
    vmov d0, r0, r2
    vmov d1, r4, r6
    vmov d2, r8, r10
    vmov d3, r12, lr
    ldr r0, [sp]
.if \bits == 4
    add r1, r0, #.Lfully_connected_left
    vldrw.u32 q2, [r1]
    vshl.s32 q0, q0, q2
    vshl.s32 q1, q1, q2
.endif
    ldrd r4, r5, [r0, #.Lfully_connected_biases]
    ldrd r6, r7, [r0, #.Lfully_connected_shifts]
    ldr r8, [r0, #.Lfully_connected_zero_point]
    ldr r2, [sp, #12]
    vctp.32 r2
    tinyhero_row_outputs q0
    subs r2, #4
    ble 2f
    vctp.32 r2
    tinyhero_row_outputs q1
    strd r4, r5, [r0, #.Lfully_connected_biases]
    strd r6, r7, [r0, #.Lfully_connected_shifts]
    subs r2, #4
    str r2, [sp, #12]
    bgt.w .Lblock_\name
2:
    add sp, #20
    vpop {d8-d15}
    pop {r4-r11, pc}
    .size \name, . - \name
.endm

    tinyhero_fully_connected tinyhero_helium_fully_connected_8, 8, 4, 68
    tinyhero_fully_connected tinyhero_helium_fully_connected_4, 4, 4, 84
    tinyhero_fully_connected tinyhero_helium_fully_connected_2, 2, 2, 200
