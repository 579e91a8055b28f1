@ Element-wise sum; `add.rs` describes the job and says why every access stays inside its slices.
    .syntax unified
    .thumb
    .cpu cortex-m55
    .section .text.tinyhero_helium_add, "ax", %progbits
    .p2align 2
    .global tinyhero_helium_add
    .type tinyhero_helium_add, %function
    .thumb_func
tinyhero_helium_add:
    push {r4-r9, lr}
    vpush {d8-d9}
    ldm.w r0, {r0-r9}
    vdup.32 q2, r4
    vdup.32 q3, r8
    vdup.32 q4, r9
    @ The products and the constant make one number, whose rounded shift is already the output before its clamp.
    wlstp.32 lr, r3, 2f
1:
    vldrb.s32 q0, [r0], #4
    vldrb.s32 q1, [r1], #4
    vmlas.s32 q0, q2, r6
    vmla.s32 q0, q1, r5
    vrshl.s32 q0, r7
    vmax.s32 q0, q0, q3
    vmin.s32 q0, q0, q4
    vstrb.32 q0, [r2], #4
    letp lr, 1b
2:
    vpop {d8-d9}
    pop {r4-r9, pc}
    .size tinyhero_helium_add, . - tinyhero_helium_add
