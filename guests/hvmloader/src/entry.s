# hvmloader's entry, what Rust at CPL 3 asks of ring 0, and the way down to the BIOS in real mode. What
# lies between is `ring0.s`.

.set CONSOLE, 0xe9              # the debug port
.set USER_STACK_BYTES, 0x10000

# As in `ring0.s`: what is not known yet the assembler takes for the name of a place in memory.
.set SELECTOR_DATA, 0x10
.set IA32_EFER, 0xc0000080
.set SELECTOR_CODE32, 0x38
.set SELECTOR_CODE16, 0x40
.set SELECTOR_DATA16, 0x48
# Where the last instructions stand, which a 16-bit segment with base 0 has to reach: below what a
# BIOS is told at 1000h, above what real mode keeps.
.set TRAMPOLINE, 0x800

# XEN_ELFNOTE_PHYS32_ENTRY: a PVH loader enters here, in 32-bit mode without paging.
.section .note.Xen, "a", @note
    .balign 4
    .long 4                     # name: "Xen" and its zero
    .long 4                     # descriptor: a 32-bit address
    .long 18                    # XEN_ELFNOTE_PHYS32_ENTRY
    .asciz "Xen"
    .long pvh_start

# --- 32-bit entry ----------------------------------------------------------------------------

.section .text
.code32

.globl pvh_start
pvh_start:
    cli
    cld
    mov esp, offset kernel_stack_top
    mov dword ptr [handover], ebx

    # EFER exists where CPUID 8000_0001h says long mode does.
    mov eax, 0x80000001
    cpuid
    bt edx, 29
    jnc no_long_mode
    jmp to_long_mode

# --- 64-bit ----------------------------------------------------------------------------------

.code64
# What Rust at CPL 3 can't do itself; it comes here by an exception, see there. RAX says what: 0 reads
# the MSR in RCX, 1 writes RSI to it, 2 goes to the BIOS and does not return, 3 executes CPUID for the
# leaf in RSI, which then holds EBX: what it says may depend on CPL where CPL 3 runs natively.
services:
    cmp eax, 2
    je to_the_bios
    ja 2f
    cmp eax, 1
    je 1f
    rdmsr
    shl rdx, 32
    or rax, rdx
    iretq
1:  mov rax, rsi
    mov rdx, rsi
    shr rdx, 32
    wrmsr
    iretq
2:  mov r8, rbx
    mov eax, esi
    xor ecx, ecx
    cpuid
    mov esi, ebx
    mov rbx, r8
    iretq

# The last instructions, which run at TRAMPOLINE: first what the IDT is in real mode.
.code16
trampoline:
    .word 0x3ff
    .long 0
trampoline_entry:
    mov ax, SELECTOR_DATA16
    mov ds, ax
    mov es, ax
    mov fs, ax
    mov gs, ax
    mov ss, ax
    lidt [TRAMPOLINE]
    mov eax, 0x10               # ET alone
    mov cr0, eax
    # ljmp 0:real_mode
    .byte 0xea
    .word TRAMPOLINE + real_mode - trampoline
    .word 0
real_mode:
    xor eax, eax
    mov ds, ax
    mov es, ax
    mov fs, ax
    mov gs, ax
    mov ss, ax
    xor ebx, ebx
    xor ecx, ecx
    xor edx, edx
    xor esi, esi
    xor edi, edi
    xor ebp, ebp
    xor esp, esp
    # ljmp F000:FFF0
    .byte 0xea
    .word 0xfff0
    .word 0xf000
trampoline_end:
.set TRAMPOLINE_BYTES, trampoline_end - trampoline
.set TRAMPOLINE_ENTRY, TRAMPOLINE + trampoline_entry - trampoline

.code64
# Down again: 32 bits, paging and long mode off, 16 bits, real mode.
to_the_bios:
    cld
    lea rsi, [rip + trampoline]
    mov edi, TRAMPOLINE
    mov ecx, offset TRAMPOLINE_BYTES
    rep movsb
    push SELECTOR_CODE32
    lea rax, [rip + leave_long_mode]
    push rax
    retfq

.code32
leave_long_mode:
    mov eax, SELECTOR_DATA
    mov ds, eax
    mov es, eax
    mov ss, eax
    mov eax, cr0
    and eax, 0x7fffffff         # PG
    mov cr0, eax
    mov ecx, IA32_EFER
    xor eax, eax
    xor edx, edx
    wrmsr
    xor eax, eax
    mov cr3, eax
    mov cr4, eax
    # ljmp SELECTOR_CODE16:TRAMPOLINE_ENTRY
    .byte 0xea
    .long TRAMPOLINE_ENTRY
    .word SELECTOR_CODE16

.code64
# Every exception comes here with its vector pushed. UD1 with these operands is how Rust asks for a
# service: INT is none of the instructions that every emulator lets CPL 3 have. Of all else Rust gets
# to report.
.set UD1_EAX_EAX, 0xc0b90f
.set UD1_BYTES, 3

exception:
    cmp qword ptr [rsp], 6      # invalid opcode
    jne report
    mov rdx, qword ptr [rsp + 16] # RIP
    mov edx, dword ptr [rdx]
    and edx, 0xffffff
    cmp edx, UD1_EAX_EAX
    jne report
    add rsp, 16                 # vector and error code
    add qword ptr [rsp], UD1_BYTES
    jmp services

.section .rodata
no_long_mode_text:
    .asciz "hvmloader: this CPU has no 64-bit mode\n"

.section .data
# What PVH's EBX held: `Handover` in Rust.
.balign 16
handover:
    .quad 0
