# From each way of being started to Rust in 64-bit mode, and the same for the other processors.

.set CODE64, 0x08
.set DATA, 0x10
.set CODE32, 0x18
# Where the code of the other processors is copied: a page below 1 MiB, as a start-up IPI wants.
.set TRAMPOLINE, 0x8000

# --- Notes and headers -----------------------------------------------------------------------

# XEN_ELFNOTE_PHYS32_ENTRY: a PVH loader enters here, in 32-bit mode without paging.
.section .note.Xen, "a", @note
    .balign 4
    .long 4                     # name: "Xen" and its zero
    .long 4                     # descriptor: a 32-bit address
    .long 18                    # XEN_ELFNOTE_PHYS32_ENTRY
    .asciz "Xen"
    .long pvh_start

.section .multiboot2, "a"
    .balign 8
multiboot2_header:
    .long 0xe85250d6
    .long 0                     # i386, protected mode
    .long multiboot2_end - multiboot2_header
    .long -(0xe85250d6 + (multiboot2_end - multiboot2_header))
    # The entry, since the ELF's own one is PVH's.
    .balign 8
    .word 3, 0
    .long 12
    .long multiboot2_start
    # Modules on page boundaries.
    .balign 8
    .word 6, 0
    .long 8
    .balign 8
    .word 0, 0
    .long 8
multiboot2_end:

# --- The processor that boots ----------------------------------------------------------------

.section .text
.code32

.globl pvh_start
pvh_start:
    mov edi, 1
    jmp start32

multiboot2_start:
    mov edi, 2

# EDI: how it was started; EBX: where the information is.
start32:
    cli
    cld
    mov esp, offset boot_stack_top
    mov esi, ebx
    mov eax, 0x80000001
    cpuid
    bt edx, 29
    jnc no_long_mode
    mov ebx, esi
    lgdt [boot_gdt_pointer]
    call enable_long_mode
    # ljmp CODE64:start64, spelt out: the assembler's Intel syntax has no far jump to two symbols.
    .byte 0xea
    .long start64
    .word CODE64

# PAE and SSE, CR3, LME and NXE, then paging. Changes EAX, ECX and EDX.
enable_long_mode:
    mov eax, cr4
    or eax, 0x620               # PAE, OSFXSR, OSXMMEXCPT
    mov cr4, eax
    mov eax, offset page_table_4
    mov cr3, eax
    mov ecx, 0xc0000080         # IA32_EFER
    rdmsr
    or eax, 0x900               # LME, NXE
    wrmsr
    mov eax, cr0
    and eax, 0x9ffffff3         # CD, NW, TS, EM off
    or eax, 0x80010023          # PG, WP, NE, MP, PE on
    mov cr0, eax
    ret

no_long_mode:
    mov esi, offset no_long_mode_text
1:  lodsb
    test al, al
    jz 2f
    out 0xe9, al
    jmp 1b
2:  cli
    hlt
    jmp 2b

.code64
start64:
    mov eax, DATA
    mov ds, eax
    mov es, eax
    mov ss, eax
    xor eax, eax
    mov fs, eax
    mov gs, eax
    mov edi, edi
    mov esi, esi
    xor ebp, ebp
    lea rsp, [rip + boot_stack_top]
    call hypervisor_main
1:  cli
    hlt
    jmp 1b

# --- The other processors --------------------------------------------------------------------

.globl trampoline_start
.globl trampoline_end
.code16
trampoline_start:
    cli
    cld
    xor ax, ax
    mov ds, ax
    # lgdt with a 32-bit base; Intel syntax takes no difference of symbols in an address.
    .byte 0x66, 0x0f, 0x01, 0x16
    .word TRAMPOLINE + trampoline_gdt_pointer - trampoline_start
    mov eax, cr0
    or al, 1
    mov cr0, eax
    # ljmp CODE32:32-bit code within the page.
    .byte 0x66, 0xea
    .long TRAMPOLINE + trampoline32 - trampoline_start
    .word CODE32
.code32
trampoline32:
    mov eax, DATA
    mov ds, eax
    mov es, eax
    mov ss, eax
    mov esp, offset boot_stack_top - 4096
    mov eax, offset enable_long_mode
    call eax
    .byte 0xea
    .long application_processor64
    .word CODE64
    .balign 8
trampoline_gdt_pointer:
    .word boot_gdt_end - boot_gdt - 1
    .long boot_gdt
trampoline_end:

.code64
application_processor64:
    mov eax, DATA
    mov ds, eax
    mov es, eax
    mov ss, eax
    xor eax, eax
    mov fs, eax
    mov gs, eax
    xor ebp, ebp
    # One processor at a time starts; its stack was put here for it.
    mov rsp, qword ptr [rip + application_processor_stack]
    call application_processor_main
1:  cli
    hlt
    jmp 1b

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

# By words, then by bytes: guests are zeroed with this.
.globl memset
memset:
    mov r8, rdi
    movzx eax, sil
    mov rcx, 0x0101010101010101
    imul rax, rcx
    mov rcx, rdx
    shr rcx, 3
    rep stosq
    mov ecx, edx
    and ecx, 7
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

# A panic aborts: nobody unwinds.
.globl _Unwind_Resume
.globl rust_eh_personality
_Unwind_Resume:
rust_eh_personality:
    ud2

# --- Data ------------------------------------------------------------------------------------

.section .rodata
no_long_mode_text:
    .asciz "hypervisor: this CPU has no 64-bit mode\n"

.section .data
.balign 8
boot_gdt:
    .quad 0
    .quad 0x00af9b000000ffff    # 08h: 64-bit code
    .quad 0x00cf93000000ffff    # 10h: data
    .quad 0x00cf9b000000ffff    # 18h: 32-bit code
boot_gdt_end:
boot_gdt_pointer:
    .word boot_gdt_end - boot_gdt - 1
    .quad boot_gdt

.globl application_processor_stack
.balign 8
application_processor_stack:
    .quad 0

# The first 4 GiB, mapped one to one with pages of 2 MiB: RAM, and the devices below 4 GiB.
.balign 4096
page_table_4:
    .quad page_table_3 + 3
    .fill 511, 8, 0
page_table_3:
    .quad page_tables_2 + 0x0003
    .quad page_tables_2 + 0x1003
    .quad page_tables_2 + 0x2003
    .quad page_tables_2 + 0x3003
    .fill 508, 8, 0
page_tables_2:
.set page, 0x83
.rept 2048
    .quad page
    .set page, page + 0x200000
.endr

.section .bss
.balign 4096
    .skip 131072
boot_stack_top:
