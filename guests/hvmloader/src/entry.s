# Ring 0 of hvmloader, all of it: from PVH's entry to Rust at CPL 3, what Rust asks of it there, and
# the way down to the BIOS in real mode.
#
# Rust for this target uses SSE everywhere, and hvmloader must also run where kernel-mode code is
# interpreted by an emulator that knows no SSE. So ring 0 is this file, without SSE, and the Rust
# part runs at CPL 3: an I/O bitmap allows every port, and all memory is mapped for it.

.set SELECTOR_CODE64, 0x08
.set SELECTOR_DATA, 0x10
.set SELECTOR_USER_DATA, 0x1b
.set SELECTOR_USER_CODE, 0x23
.set SELECTOR_TSS, 0x28
.set SELECTOR_CODE32, 0x38
.set SELECTOR_CODE16, 0x40
.set SELECTOR_DATA16, 0x48

.set IA32_EFER, 0xc0000080
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
    mov dword ptr [start_info], ebx

    # EFER exists where CPUID 8000_0001h says long mode does.
    mov eax, 0x80000001
    cpuid
    bt edx, 29
    jnc no_long_mode

    # Long mode in the order of the SDM, "Initializing IA-32e Mode": PAE, CR3, LME, PG.
    lgdt [gdt_pointer]
    mov eax, cr4
    or eax, 0x620               # PAE, OSFXSR, OSXMMEXCPT
    mov cr4, eax
    mov eax, offset page_table_4
    mov cr3, eax
    mov ecx, IA32_EFER
    rdmsr
    or eax, 0x100               # LME
    wrmsr
    mov eax, cr0
    and eax, 0x9ffffff3         # CD, NW, TS, EM off
    or eax, 0x80000023          # PG, NE, MP, PE on
    mov cr0, eax
    # ljmp SELECTOR_CODE64:start64, spelt out: the assembler's Intel syntax has no far jump to two
    # symbols.
    .byte 0xea
    .long start64
    .word SELECTOR_CODE64

# No 64-bit mode: say so on the debug port, and stop with a debug exit.
no_long_mode:
    mov esi, offset no_long_mode_text
1:  lodsb
    test al, al
    jz 2f
    out 0xe9, al
    jmp 1b
2:  mov al, 4
    out 0xf4, al
3:  hlt
    jmp 3b

# --- 64-bit ----------------------------------------------------------------------------------

.code64
start64:
    mov eax, SELECTOR_DATA
    mov ds, eax
    mov es, eax
    mov ss, eax
    xor eax, eax
    mov fs, eax
    mov gs, eax
    mov eax, SELECTOR_TSS
    ltr ax
    lidt [rip + idt_pointer]

    # To CPL 3 with IOPL 3 and interrupts off.
    push SELECTOR_USER_DATA
    lea rax, [rip + user_stack_top - 8] # as after a call, which the ABI wants
    push rax
    push 0x3002
    push SELECTOR_USER_CODE
    lea rax, [rip + hvmloader_main]
    push rax
    mov edi, dword ptr [rip + start_info]
    iretq

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

report:
    mov rax, qword ptr [rsp]    # vector
    mov qword ptr [rip + fault + 0], rax
    mov rax, qword ptr [rsp + 8] # error code
    mov qword ptr [rip + fault + 8], rax
    mov rax, qword ptr [rsp + 16] # RIP
    mov qword ptr [rip + fault + 16], rax
    mov rax, cr2
    mov qword ptr [rip + fault + 24], rax
    lea rsp, [rip + kernel_stack_top]
    push SELECTOR_USER_DATA
    lea rax, [rip + user_stack_top - 8] # as after a call, which the ABI wants
    push rax
    push 0x3002
    push SELECTOR_USER_CODE
    lea rax, [rip + hvmloader_exception]
    push rax
    lea rdi, [rip + fault]
    iretq

# Sixteen bytes an entry, so that the IDT below can compute their addresses.
.balign 512
.globl exception_entries
exception_entries:
.set vector, 0
.rept 32
    .balign 16
    .if (1 << vector) & 0x60227d00
    .else
        push 0                  # no error code: push one
    .endif
    push vector
    jmp exception
    .set vector, vector + 1
.endr

# --- What core asks for ----------------------------------------------------------------------

.globl memcpy
memcpy:
    mov rax, rdi
    mov rcx, rdx
    rep movsb
    ret

.globl memmove
memmove:
    mov rax, rdi
    mov rcx, rdx
    mov r8, rdi
    sub r8, rsi
    cmp r8, rdx
    jae 1f
    lea rdi, [rdi + rdx - 1]
    lea rsi, [rsi + rdx - 1]
    std
    rep movsb
    cld
    ret
1:  rep movsb
    ret

.globl memset
memset:
    mov r8, rdi
    mov eax, esi
    mov rcx, rdx
    rep stosb
    mov rax, r8
    ret

.globl memcmp
.globl bcmp
memcmp:
bcmp:
    xor ecx, ecx
1:  cmp rcx, rdx
    je 2f
    movzx eax, byte ptr [rdi + rcx]
    movzx r8d, byte ptr [rsi + rcx]
    inc rcx
    sub eax, r8d
    je 1b
    ret
2:  xor eax, eax
    ret

# --- Data ------------------------------------------------------------------------------------

.section .rodata
no_long_mode_text:
    .asciz "hvmloader: this CPU has no 64-bit mode\n"

.section .data
# What PVH's EBX held.
.balign 16
start_info:
    .quad 0
fault:
    .fill 32, 1, 0

.balign 16
gdt:
    .quad 0
    .quad 0x00af9b000000ffff    # 08h: 64-bit code
    .quad 0x00cf93000000ffff    # 10h: data
    .quad 0x00cff3000000ffff    # 18h: data of CPL 3
    .quad 0x00affb000000ffff    # 20h: 64-bit code of CPL 3
    # 28h: the TSS; the linker script takes its address apart. Below 16 MiB three bytes hold it.
    .word tss_end - tss - 1
    .word tss_low
    .byte tss_middle
    .byte 0x89
    .byte 0
    .byte 0
    .quad 0
    .quad 0x00cf9b000000ffff    # 38h: 32-bit code
    .quad 0x00009b000000ffff    # 40h: 16-bit code
    .quad 0x000093000000ffff    # 48h: 16-bit data
gdt_end:
gdt_pointer:
    .word gdt_end - gdt - 1
    .quad gdt

idt_pointer:
    .word 32 * 16 - 1
    .quad idt

# The linker script takes the address of the entries apart.
.balign 16
idt:
.set vector, 0
.rept 32
    .word exceptions_low + vector * 16
    .word SELECTOR_CODE64
    .byte 0
    .byte 0x8e
    .word exceptions_high
    .quad 0
    .set vector, vector + 1
.endr

.balign 16
.globl tss
tss:
    .long 0
    .quad kernel_stack_top
    .fill 90, 1, 0
    .word io_bitmap - tss
# All ports are CPL 3's, whatever becomes of IOPL: an emulator may drop it in IRETQ.
io_bitmap:
    .fill 8192, 1, 0
    .byte 0xff
tss_end:

# The first 4 GiB, mapped one to one with pages of 2 MiB that CPL 3 may use.
.balign 4096
page_table_4:
    .quad page_table_3 + 7
    .fill 511, 8, 0
page_table_3:
    .quad page_tables_2 + 0x0007
    .quad page_tables_2 + 0x1007
    .quad page_tables_2 + 0x2007
    .quad page_tables_2 + 0x3007
    .fill 508, 8, 0
page_tables_2:
.set page, 0x87
.rept 2048
    .quad page
    .set page, page + 0x200000
.endr

.section .bss
.balign 16
    .skip 4096
kernel_stack_top:
    .skip 0x10000
user_stack_top:
