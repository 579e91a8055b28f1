@ CRC-32 and copying of what the link brings; `link.rs` says what and why every access stays inside its slices.
    .syntax unified
    .thumb
    .cpu cortex-m55

@ r0: what each lane adds to the next block, 4 words; r1: bytes; r2: blocks of 16 bytes, at least 1; r3: a table for each byte of a word.
    .section .text.tinyhero_helium_crc32, "ax", %progbits
    .p2align 2
    .global tinyhero_helium_crc32
    .type tinyhero_helium_crc32, %function
    .thumb_func
tinyhero_helium_crc32:
    push {r4-r6, lr}
    vpush {d8-d9}
    movs r4, #255
    vdup.32 q3, r4
    add.w r4, r3, #1024
    add.w r5, r3, #2048
    add.w r6, r3, #3072
    vldrw.u32 q0, [r0]
    dls lr, r2
1:
    @ q0: words still to be advanced, q1: indices, q2: what comes of them.
    vldrb.u8 q1, [r1], #16
    veor q0, q0, q1
    vand q1, q0, q3
    vldrw.u32 q2, [r3, q1, uxtw #2]
    vshr.u32 q1, q0, #8
    vand q1, q1, q3
    vldrw.u32 q4, [r4, q1, uxtw #2]
    veor q2, q2, q4
    vshr.u32 q1, q0, #16
    vand q1, q1, q3
    vldrw.u32 q4, [r5, q1, uxtw #2]
    veor q2, q2, q4
    vshr.u32 q1, q0, #24
    vldrw.u32 q0, [r6, q1, uxtw #2]
    veor q0, q0, q2
    le lr, 1b
    vstrw.32 q0, [r0]
    vpop {d8-d9}
    pop {r4-r6, pc}
    .size tinyhero_helium_crc32, . - tinyhero_helium_crc32

@ r0: target; r1: source; r2: bytes at most. Returns how many there were before a zero.
    .section .text.tinyhero_helium_copy_run, "ax", %progbits
    .p2align 2
    .global tinyhero_helium_copy_run
    .type tinyhero_helium_copy_run, %function
    .thumb_func
tinyhero_helium_copy_run:
    push {r4, lr}
    mov r12, r1
    wlstp.8 lr, r2, 2f
1:
    vldrb.u8 q0, [r1], #16
    vcmp.i8 eq, q0, zr
    vmrs r3, p0
    cbnz r3, 3f
    vstrb.8 q0, [r0], #16
    letp lr, 1b
2:
    mov r0, r2
    pop {r4, pc}
3:
    @ A zero, or more, in this vector: what lies before the first.
    lctp
    rbit r3, r3
    clz r3, r3
    vctp.8 r3
    vpst
    vstrbt.8 q0, [r0]
    sub.w r0, r1, r12
    subs r0, #16
    add r0, r3
    pop {r4, pc}
    .size tinyhero_helium_copy_run, . - tinyhero_helium_copy_run
