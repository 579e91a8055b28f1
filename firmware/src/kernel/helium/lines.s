@ Copying and filling; `lines.rs` says what and why every access stays inside its slices.
    .syntax unified
    .thumb
    .cpu cortex-m55

@ r0: destination, lines without gaps; r1: source; r2: lines, at least 1; r3: bytes of a line, at least 1; on the stack: step of the source.
    .section .text.tinyhero_helium_copy_lines, "ax", %progbits
    .p2align 2
    .global tinyhero_helium_copy_lines
    .type tinyhero_helium_copy_lines, %function
    .thumb_func
tinyhero_helium_copy_lines:
    push {r4-r6, lr}
    ldr r4, [sp, #16]
    movs r5, #48
    udiv r12, r3, r5
    mls r6, r12, r5, r3
    cbz r6, .Lcopy_threes
    cmp r3, #16
    ble .Lcopy_short
.Lcopy_long:
    mov r5, r1
    mov r6, r0
    wlstp.8 lr, r3, 2f
1:
    vldrb.u8 q0, [r5], #16
    vstrb.8 q0, [r6], #16
    letp lr, 1b
2:
    add r1, r4
    add r0, r3
    subs r2, #1
    bne .Lcopy_long
    pop {r4-r6, pc}
.Lcopy_short:
    vctp.8 r3
    dls lr, r2
3:
    vpstt
    vldrbt.u8 q0, [r1]
    vstrbt.8 q0, [r0]
    add r1, r4
    add r0, r3
    le lr, 3b
    pop {r4-r6, pc}
.Lcopy_threes:
    subs r4, r4, r3
4:
    dls lr, r12
5:
    vldrb.u8 q0, [r1], #16
    vldrb.u8 q1, [r1], #16
    vldrb.u8 q2, [r1], #16
    vstrb.8 q0, [r0], #16
    vstrb.8 q1, [r0], #16
    vstrb.8 q2, [r0], #16
    le lr, 5b
    add r1, r4
    subs r2, #1
    bne 4b
    pop {r4-r6, pc}
    .size tinyhero_helium_copy_lines, . - tinyhero_helium_copy_lines

@ r0: destination; r1: value; r2: bytes.
    .section .text.tinyhero_helium_fill, "ax", %progbits
    .p2align 2
    .global tinyhero_helium_fill
    .type tinyhero_helium_fill, %function
    .thumb_func
tinyhero_helium_fill:
    push {r4, lr}
    vdup.8 q0, r1
    wlstp.8 lr, r2, 7f
6:
    vstrb.8 q0, [r0], #16
    letp lr, 6b
7:
    pop {r4, pc}
    .size tinyhero_helium_fill, . - tinyhero_helium_fill
