# What ring 0 of our freestanding guests has in common: from 32 bits to Rust at CPL 3, its exceptions,
# and what `core` wants.
#
# Rust for this target uses SSE everywhere, and these guests must also run where kernel-mode code is
# interpreted by an emulator that knows no SSE. So ring 0 is assembly without SSE, and the Rust part
# runs at CPL 3: an I/O bitmap allows every port, and all memory is mapped for it.
#
# A guest's own `entry.s`, which comes before this, has
#
#   handover            what the entry found, for `guest_main`
#   exception           where exceptions go, vector and error code pushed; `report` passes them on to
#                       `guest_exception`
#   CONSOLE             the port of its console
#   USER_STACK_BYTES    what Rust gets
#   no_long_mode_text   what is said where there is no 64-bit mode
#
# and jumps to `to_long_mode` or `no_long_mode` in 32-bit mode, with interrupts off and ESP set.

.set SELECTOR_CODE64, 0x08
.set SELECTOR_DATA, 0x10
.set SELECTOR_USER_DATA, 0x1b
.set SELECTOR_USER_CODE, 0x23
.set SELECTOR_TSS, 0x28
.set IA32_EFER, 0xc0000080

# --- 32-bit ----------------------------------------------------------------------------------

.section .text
.code32

# Long mode in the order of the SDM, "Initializing IA-32e Mode": PAE, CR3, LME, PG. QEMU's interpreter
# of SVM loses its way if a guest exits with LME set and PAE not yet.
to_long_mode:
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

# No 64-bit mode: say so on the console, and stop with a debug exit.
no_long_mode:
    mov esi, offset no_long_mode_text
1:  lodsb
    test al, al
    jz 2f
    mov dx, CONSOLE
    out dx, al
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
    lea rax, [rip + guest_main]
    push rax
    lea rdi, [rip + handover]
    iretq

# An exception that is nothing but that: Rust at CPL 3 gets to report it.
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
    lea rax, [rip + guest_exception]
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

.section .data
.balign 16
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
    # For guests that leave long mode again.
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
    .skip USER_STACK_BYTES
user_stack_top:
