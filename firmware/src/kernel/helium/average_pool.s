@ The average over one window; `average_pool.rs` describes the job and says why every access stays inside its slices.
    .syntax unified
    .thumb
    .cpu cortex-m55

@ Where the fields of `Job` are; neighbours are loaded together. `average_pool.rs` holds the struct to it.
    .equ .Lpool_job_channels, 8
    .equ .Lpool_job_rows, 12
    .equ .Lpool_job_columns, 16
    .equ .Lpool_job_step, 20
    .equ .Lpool_job_gap, 24
    .equ .Lpool_job_constant, 28
    .equ .Lpool_job_activation_min, 48

@ Four sums become outputs. r5: constant, r6: multiplier, r8: left shift, r9: right shift, negative; r10: zero point; q6, q7: the clamp.
.macro tinyhero_pool_requantize sums
    vadd.i32 \sums, \sums, r5
    vshl.s32 \sums, r8
    vqdmulh.s32 \sums, \sums, r6
    vrshl.s32 \sums, r9
    vadd.i32 \sums, \sums, r10
    vmax.s32 \sums, \sums, q6
    vmin.s32 \sums, \sums, q7
.endm

    .section .text.tinyhero_helium_average_pool, "ax", %progbits
    .p2align 2
    .global tinyhero_helium_average_pool
    .type tinyhero_helium_average_pool, %function
    .thumb_func
tinyhero_helium_average_pool:
    push {r4-r11, lr}
    vpush {d8-d15}
    ldrd r1, r2, [r0, #.Lpool_job_activation_min]
    vdup.32 q6, r1
    vdup.32 q7, r2
    add r1, r0, #.Lpool_job_constant
    ldm.w r1, {r5, r6, r8, r9, r10}
    ldr r4, [r0, #.Lpool_job_step]
    ldr r11, [r0, #.Lpool_job_gap]
    ldr r7, [r0, #.Lpool_job_channels]
    subs r7, #16
    blt .Lpool_few
.Lpool_many:
    vmov.i32 q0, #0
    vmov.i32 q1, #0
    vmov.i32 q2, #0
    vmov.i32 q3, #0
    ldr r1, [r0]
    ldr r2, [r0, #.Lpool_job_rows]
1:
    ldr r3, [r0, #.Lpool_job_columns]
    dls lr, r3
2:
    vldrb.s32 q4, [r1]
    vldrb.s32 q5, [r1, #4]
    vadd.i32 q0, q0, q4
    vldrb.s32 q4, [r1, #8]
    vadd.i32 q1, q1, q5
    vldrb.s32 q5, [r1, #12]
    vadd.i32 q2, q2, q4
    vadd.i32 q3, q3, q5
    add r1, r4
    le lr, 2b
    add r1, r11
    subs r2, #1
    bne 1b
    tinyhero_pool_requantize q0
    tinyhero_pool_requantize q1
    tinyhero_pool_requantize q2
    tinyhero_pool_requantize q3
    ldrd r1, r2, [r0]
    vstrb.32 q0, [r2], #4
    vstrb.32 q1, [r2], #4
    vstrb.32 q2, [r2], #4
    vstrb.32 q3, [r2], #4
    adds r1, #16
    strd r1, r2, [r0]
    subs r7, #16
    bge .Lpool_many
.Lpool_few:
    adds r7, #16
    ble .Lpool_end
3:
    vctp.32 r7
    vmov.i32 q0, #0
    ldr r1, [r0]
    ldr r2, [r0, #.Lpool_job_rows]
4:
    ldr r3, [r0, #.Lpool_job_columns]
    dls lr, r3
5:
    vpst
    vldrbt.s32 q4, [r1]
    vadd.i32 q0, q0, q4
    add r1, r4
    le lr, 5b
    add r1, r11
    subs r2, #1
    bne 4b
    tinyhero_pool_requantize q0
    ldrd r1, r2, [r0]
    vpst
    vstrbt.32 q0, [r2], #4
    adds r1, #4
    strd r1, r2, [r0]
    subs r7, #4
    bgt 3b
.Lpool_end:
    vpop {d8-d15}
    pop {r4-r11, pc}
    .size tinyhero_helium_average_pool, . - tinyhero_helium_average_pool
