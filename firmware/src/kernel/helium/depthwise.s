@ Depthwise convolution; `depthwise.rs` describes the jobs and says why every access stays inside its slices.
    .syntax unified
    .thumb
    .cpu cortex-m55

@ Where the fields of `Transpose` and of `Job` are; neighbours are loaded together. `depthwise.rs` holds the structs to it.
    .equ .Ltranspose_sources, 4
    .equ .Ltranspose_advance, 48
    .equ .Ldepthwise_channels, 20
    .equ .Ldepthwise_addresses, 32
    .equ .Ldepthwise_octets, 40
    .equ .Ldepthwise_zero_point, 44
    .equ .Ldepthwise_activation_min, 48
    .equ .Ldepthwise_mask, 56
    .equ .Ldepthwise_columns, 60

@ Interleaves three lines byte by byte into words, the fourth byte of which is zero, between columns of padding.
    .section .text.tinyhero_helium_transpose, "ax", %progbits
    .p2align 2
    .global tinyhero_helium_transpose
    .type tinyhero_helium_transpose, %function
    .thumb_func
tinyhero_helium_transpose:
    push {r0, r4-r11, lr}
    @ r1: destination; r2 to r4: sources; r5 to r7: their steps; r8: whole vectors; r9: bytes of another one; r10, r11: bytes of padding
    @ on the left and on the right; r12: what it consists of.
    ldm.w r0, {r1-r12}
    vdup.8 q0, r12
    @ The fourth byte, so that nothing that another program left in the register gets into memory.
    vmov.i32 q3, #0
    mov r0, r1
    add r1, r10
    wlstp.8 lr, r10, 2f
1:
    vstrb.8 q0, [r0], #16
    letp lr, 1b
2:
    wls lr, r8, 4f
3:
    vldrb.u8 q0, [r2]
    add r2, r5
    vldrb.u8 q1, [r3]
    add r3, r6
    vldrb.u8 q2, [r4]
    add r4, r7
    vst40.8 {q0, q1, q2, q3}, [r1]
    vst41.8 {q0, q1, q2, q3}, [r1]
    vst42.8 {q0, q1, q2, q3}, [r1]
    vst43.8 {q0, q1, q2, q3}, [r1]!
    le lr, 3b
4:
    cmp r9, #0
    beq 5f
    vctp.8 r9
    vpsttt
    vldrbt.u8 q0, [r2]
    vldrbt.u8 q1, [r3]
    vldrbt.u8 q2, [r4]
    vst40.8 {q0, q1, q2, q3}, [r1]
    vst41.8 {q0, q1, q2, q3}, [r1]
    vst42.8 {q0, q1, q2, q3}, [r1]
    vst43.8 {q0, q1, q2, q3}, [r1]
    add r1, r1, r9, lsl #2
5:
    vdup.8 q0, r12
    wlstp.8 lr, r11, 7f
6:
    vstrb.8 q0, [r1], #16
    letp lr, 6b
7:
    @ Sources that move move on to the next group of channels.
    pop {r0}
    ldr r1, [r0, #.Ltranspose_advance]
    adds r0, #.Ltranspose_sources
    ldm r0, {r2, r3, r4}
    cmp r5, #0
    it ne
    addne r2, r2, r1
    cmp r6, #0
    it ne
    addne r3, r3, r1
    cmp r7, #0
    it ne
    addne r4, r4, r1
    stm r0, {r2, r3, r4}
    pop {r4-r11, pc}
    .size tinyhero_helium_transpose, . - tinyhero_helium_transpose

@ Two pixels: their windows against the weights in q6.
.macro tinyhero_window_pair first, second
    ldrd r1, r3, [r5], #8
    vldrw.u32 q0, [r1, q7]
    vldrw.u32 q1, [r3, q7]
    vmlav.s8 \first, q6, q0
    vmlav.s8 \second, q6, q1
.endm

@ `preshift`: whether some channel's shift is below 1.
.macro tinyhero_depthwise name, preshift
    .section .text.\name, "ax", %progbits
    .p2align 2
    .global \name
    .type \name, %function
    .thumb_func
\name:
    push {r4-r11, lr}
    vpush {d8-d15}
    sub sp, #28
    @ sp + 0: bias; 4: multiplier; 8: shift, negative; 12: zero point; 16: left shift; 20: job.
    @ q2, q3: bytes and shifts of the lanes; q4, q5: the clamp; q6: weights; q7: where the words of a window are.
    str r0, [sp, #20]
    ldr r1, [r0, #.Ldepthwise_zero_point]
    str r1, [sp, #12]
    ldrd r1, r2, [r0, #.Ldepthwise_activation_min]
    vdup.16 q4, r1
    vdup.16 q5, r2
    ldr r1, [r0, #.Ldepthwise_mask]
    vmsr p0, r1
    add r1, r0, #.Ldepthwise_columns
    vldrw.u32 q7, [r1], #16
    vldrb.u8 q2, [r1], #16
    vldrb.u8 q3, [r1]
.Lchannel_\name:
    @ The bytes of the row go to the lanes of their taps; two shifts leave the fields with their signs.
    ldr r0, [sp, #20]
    ldm.w r0, {r1-r8}
    vpst
    vldrbt.u8 q6, [r1, q2]
    add r1, r7
    ldr r9, [r2], #4
    ldrh r10, [r3], #2
    ldrsb r11, [r4], #1
    vshl.u8 q6, q6, q3
    vshl.s8 q6, r8
    lsl.w r10, r10, #15
.if \preshift
    rsb r7, r11, #1
    bic r7, r7, r7, asr #31
    str r7, [sp, #16]
    add r11, r11, r7
.endif
    rsb r11, r11, #0
    stm.w sp, {r9, r10, r11}
    mov r9, r5
    adds r5, #1
    subs r6, #1
    stm.w r0, {r1-r6}
    ldrd r5, r7, [r0, #.Ldepthwise_addresses]
    ldr r11, [r0, #.Ldepthwise_octets]
.Loctet_\name:
    tinyhero_window_pair r0, r2
    tinyhero_window_pair r4, r6
    tinyhero_window_pair r8, r10
    tinyhero_window_pair r12, lr
    vmov d0, r0, r4
    vmov d1, r8, r12
    vmov d2, r2, r6
    vmov d3, r10, lr
.if \preshift
    ldm.w sp, {r0, r2, r4, r6, r8}
.else
    ldm.w sp, {r0, r2, r4, r6}
.endif
    vadd.i32 q0, q0, r0
    vadd.i32 q1, q1, r0
.if \preshift
    vshl.s32 q0, r8
    vshl.s32 q1, r8
.endif
    vqdmulh.s32 q0, q0, r2
    vqdmulh.s32 q1, q1, r2
    vrshl.s32 q0, r4
    vrshl.s32 q1, r4
    vqmovnb.s32 q0, q0
    vqmovnt.s32 q0, q1
    vqadd.s16 q0, q0, r6
    vmax.s16 q0, q0, q4
    vldrh.u16 q1, [r7], #16
    vmin.s16 q0, q0, q5
    vstrb.16 q0, [r9, q1]
    subs.w r11, r11, #1
    bne.w .Loctet_\name
    movs r0, #4
    vadd.i32 q7, q7, r0
    ldr r0, [sp, #20]
    ldr r1, [r0, #.Ldepthwise_channels]
    cmp r1, #0
    bne.w .Lchannel_\name
    add sp, #28
    vpop {d8-d15}
    pop {r4-r11, pc}
    .size \name, . - \name
.endm

    tinyhero_depthwise tinyhero_helium_depthwise, 0
    tinyhero_depthwise tinyhero_helium_depthwise_left, 1
