# One entry, and the way back from it.

.section .text
.code64

# RDI: 0 VMLAUNCH, 1 VMRESUME, 2 VMLAUNCH directly behind MOV SS. Returns 0 after an exit, 1 for
# VMfailInvalid, 2 for VMfailValid. Where an exit goes on is lab_exit, which HOST_RIP holds.
.globl lab_enter
lab_enter:
    push rbp
    push rbx
    push r12
    push r13
    push r14
    push r15
    mov eax, 0x6c14             # HOST_RSP; it fails without a current VMCS, as the entry will
    vmwrite rax, rsp
    cmp edi, 1
    je 1f
    cmp edi, 2
    je 2f
    vmlaunch
    jmp 3f
1:  vmresume
    jmp 3f
2:  mov eax, ss
    mov ss, eax
    vmlaunch
3:  setc al
    setz cl
    movzx eax, al
    movzx ecx, cl
    lea eax, [eax + 2 * ecx]
    jmp 4f

# Nothing of the guest's registers is used: all that a System V function keeps is on the stack.
.globl lab_exit
lab_exit:
    cld
    xor eax, eax
4:  pop r15
    pop r14
    pop r13
    pop r12
    pop rbx
    pop rbp
    ret
