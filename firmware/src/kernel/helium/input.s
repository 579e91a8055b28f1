@ Raw samples to int8; `input.rs` describes the job and says why every access stays inside its slices.
    .syntax unified
    .thumb
    .cpu cortex-m55

@ The number of samples is in r2, what follows is in the job's order; four samples a round.
.macro tinyhero_input name, scaled, load
    .section .text.\name, "ax", %progbits
    .p2align 2
    .global \name
    .type \name, %function
    .thumb_func
\name:
    push {r4-r9, lr}
    vpush {d8-d9}
    @ r0: raw samples; r1: output; r2: samples; r3: step; r4: multiplier; r5: offset; r6: shift, negative; r7, r8: clamp.
    ldm.w r0, {r0-r8}
    vdup.32 q2, r4
    vdup.32 q3, r7
    vdup.32 q4, r8
    cmp r3, #1
    bne 3f
    wlstp.32 lr, r2, 2f
1:
    \load\() q0, [r0], #(4 << \scaled)
    vmlas.s32 q0, q2, r5
    vshl.s32 q0, r6
    vmax.s32 q0, q0, q3
    vmin.s32 q0, q0, q4
    vstrb.32 q0, [r1], #4
    letp lr, 1b
2:
    vpop {d8-d9}
    pop {r4-r9, pc}
3:
    @ Every `step`-th sample: their offsets are in q1.
    mov.w r8, #0
    vidup.u32 q1, r8, #1
    vmul.i32 q1, q1, r3
    lsls r3, r3, #2
    wlstp.32 lr, r2, 5f
4:
.if \scaled
    \load\() q0, [r0, q1, uxtw #1]
.else
    \load\() q0, [r0, q1]
.endif
    vmlas.s32 q0, q2, r5
    add r0, r0, r3, lsl #\scaled
    vshl.s32 q0, r6
    vmax.s32 q0, q0, q3
    vmin.s32 q0, q0, q4
    vstrb.32 q0, [r1, q1]
    add r1, r3
    letp lr, 4b
5:
    vpop {d8-d9}
    pop {r4-r9, pc}
    .size \name, . - \name
.endm

    tinyhero_input tinyhero_helium_input_u8, 0, vldrb.u32
    tinyhero_input tinyhero_helium_input_i16, 1, vldrh.s32
