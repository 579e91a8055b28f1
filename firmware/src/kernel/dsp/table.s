/* Values through a table. `table.rs` beside this file declares the symbol and says what must hold before it is called. */

    .syntax unified
    .cpu cortex-m4
    .thumb

/* r0 input, r1 output, which may be the input, r2 its end, a multiple of 16 bytes and at least as many away, r3 the entries. Sixteen
   values a round, four at a time, so that no load waits for the one before; the first four come last, which moves both pointers on. */
    .section .text.th_dsp_table, "ax", %progbits
    .balign 4
    .global th_dsp_table
    .type th_dsp_table, %function
    .thumb_func
th_dsp_table:
    push    {r4, r5, r6, r7, lr}
1:
    .irp at, 12, 8, 4
    ldrb    r4, [r0, #\at]
    ldrb    r5, [r0, #\at + 1]
    ldrb    r6, [r0, #\at + 2]
    ldrb    r7, [r0, #\at + 3]
    ldrb    r4, [r3, r4]
    ldrb    r5, [r3, r5]
    ldrb    r6, [r3, r6]
    ldrb    r7, [r3, r7]
    strb    r4, [r1, #\at]
    strb    r5, [r1, #\at + 1]
    strb    r6, [r1, #\at + 2]
    strb    r7, [r1, #\at + 3]
    .endr
    ldrb    r5, [r0, #1]
    ldrb    r6, [r0, #2]
    ldrb    r7, [r0, #3]
    ldrb    r4, [r0], #16
    ldrb    r5, [r3, r5]
    ldrb    r6, [r3, r6]
    ldrb    r7, [r3, r7]
    ldrb    r4, [r3, r4]
    strb    r5, [r1, #1]
    strb    r6, [r1, #2]
    strb    r7, [r1, #3]
    strb    r4, [r1], #16
    cmp     r1, r2
    bne     1b
    pop     {r4, r5, r6, r7, pc}
    .size th_dsp_table, . - th_dsp_table
