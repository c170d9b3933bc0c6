# The tour's entries, one for each way of being started. What follows them is `ring0.s`.

.set CONSOLE, 0x3f8             # COM1
.set USER_STACK_BYTES, 32768

# --- Notes and headers -----------------------------------------------------------------------

# XEN_ELFNOTE_PHYS32_ENTRY: a PVH loader enters here, in 32-bit mode without paging.
.section .note.Xen, "a", @note
    .balign 4
    .long 4                     # name: "Xen" and its zero
    .long 4                     # descriptor: a 32-bit address
    .long 18                    # XEN_ELFNOTE_PHYS32_ENTRY
    .asciz "Xen"
    .long pvh_start

# Multiboot 1, with explicit addresses since the ELF is a 64-bit one.
.section .multiboot, "a"
    .balign 4
multiboot_header:
    .long 0x1badb002
    .long 0x00010002            # memory map wanted, addresses below are valid
    .long -(0x1badb002 + 0x00010002)
    .long multiboot_header
    .long image_start
    .long data_end
    .long image_end
    .long multiboot_start
    # Not Multiboot's: where the boot sector goes on, 32 bytes into the image.
    .long bios_start

# --- 32-bit entry points ---------------------------------------------------------------------

.section .text
.code32

.globl pvh_start
pvh_start:
    mov dword ptr [handover + 0], 1
    jmp start32

multiboot_start:
    mov dword ptr [handover + 0], 2
    mov dword ptr [handover + 4], eax
    jmp start32

# The boot sector jumps here, through the pointer behind the Multiboot header.
.globl bios_start
bios_start:
    mov dword ptr [handover + 0], 3

start32:
    mov esp, offset kernel_stack_top
    pushfd
    cli
    cld
    pop dword ptr [handover + 56]
    mov dword ptr [handover + 8], ebx
    mov eax, cr0
    mov dword ptr [handover + 16], eax
    mov eax, cr4
    mov dword ptr [handover + 32], eax
    mov ax, cs
    mov word ptr [handover + 64], ax
    mov ax, ds
    mov word ptr [handover + 66], ax
    mov ax, ss
    mov word ptr [handover + 68], ax
    str ax
    mov word ptr [handover + 70], ax

    # EFER exists where CPUID 8000_0001h says long mode does.
    mov eax, 0x80000001
    cpuid
    bt edx, 29
    jnc no_long_mode
    mov ecx, 0xc0000080         # IA32_EFER
    rdmsr
    mov dword ptr [handover + 40], eax
    mov ecx, 0x1b               # IA32_APIC_BASE
    rdmsr
    mov dword ptr [handover + 48], eax
    mov dword ptr [handover + 52], edx
    jmp to_long_mode

.code64
.set exception, report

.section .rodata
no_long_mode_text:
    .asciz "tour: this CPU has no 64-bit mode\n"

.section .data
# What the entry found: `Handover` in Rust.
.balign 16
handover:
    .fill 80, 1, 0
