# The boot sector: loads the sectors behind it, asks the BIOS for the memory map, and enters the
# tour in 32-bit mode with EBX at its `BiosInfo`.
#
#     0500h           E820 entries, 20 bytes each
#     7C00h           this sector
#    10000h           the sectors behind it: the tour, then its command line
#   100000h           the tour, copied to where it is linked

.set E820, 0x500
.set MOST_E820, 64
.set STAGING, 0x10000
.set SECTORS_PER_TRACK, 18
.set SELECTOR_CODE, 0x08
.set SELECTOR_DATA, 0x10
# Where in the tour the address of its entry for BIOSes stands: behind the Multiboot header.
.set BIOS_ENTRY_OFFSET, 32
.set EXIT_PORT, 0xf4
.set EXIT_NOT_READABLE, 5

.section .boot_sector, "ax"
.code16
.globl boot_sector
boot_sector:
    .byte 0xea                  # ljmp 0:start
    .word start
    .word 0
start:
    cli
    xor ax, ax
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov sp, 0x7c00
    sti
    cld
    mov byte ptr [drive], dl

    # One sector a call: slow, but right for any BIOS.
    mov bp, STAGING >> 4
    mov si, 1
read:
    test byte ptr [drive], 0x80
    jz read_floppy
    # A disk by the number of the sector: a packet of size, count, buffer, number.
    xor eax, eax
    push eax
    mov ax, si
    push eax
    push bp
    push 0
    push 1
    push 16
    mov di, si
    mov si, sp
    mov dl, byte ptr [drive]
    mov ah, 0x42
    int 0x13
    lea sp, [si + 16]
    mov si, di
    jc not_readable
    jmp next
read_floppy:
    mov ax, si
    xor dx, dx
    mov cx, SECTORS_PER_TRACK
    div cx
    mov cx, dx
    inc cx                      # sectors count from 1
    mov dh, al
    and dh, 1                   # head
    shr ax, 1
    mov ch, al                  # cylinder
    mov dl, byte ptr [drive]
    mov es, bp
    xor bx, bx
    mov ax, 0x0201
    int 0x13
    jc not_readable
next:
    add bp, 512 >> 4
    inc si
    cmp si, word ptr [sectors]
    jbe read

    # The BIOS' memory map.
    xor ax, ax
    mov es, ax
    xor ebx, ebx
    mov di, E820
e820:
    mov eax, 0xe820
    mov edx, 0x534d4150         # "SMAP"
    mov ecx, 20
    int 0x15
    jc e820_done
    cmp eax, 0x534d4150
    jne e820_done
    add di, 20
    inc word ptr [e820_count]
    cmp word ptr [e820_count], MOST_E820
    jae e820_done
    test ebx, ebx
    jnz e820
e820_done:

    # A20 by the system control port, then 32-bit mode.
    cli
    in al, 0x92
    or al, 2
    and al, 0xfe
    out 0x92, al
    lgdt [gdt_pointer]
    mov eax, cr0
    or al, 1
    mov cr0, eax
    .byte 0xea                  # ljmp SELECTOR_CODE:flat
    .word flat
    .word SELECTOR_CODE

not_readable:
    mov al, EXIT_NOT_READABLE
    out EXIT_PORT, al
1:  hlt
    jmp 1b

.code32
flat:
    mov eax, SELECTOR_DATA
    mov ds, eax
    mov es, eax
    mov ss, eax
    mov esi, STAGING
    mov edi, dword ptr [load_address]
    mov edx, edi
    mov ecx, dword ptr [load_words]
    rep movsd
    xor eax, eax
    mov ecx, dword ptr [zero_words]
    rep stosd
    mov ebx, offset info
    jmp dword ptr [edx + BIOS_ENTRY_OFFSET]

.balign 8
gdt:
    .quad 0
    .quad 0x00cf9b000000ffff
    .quad 0x00cf93000000ffff
gdt_pointer:
    .word 23
    .long gdt

# `BiosInfo` in Rust.
.balign 4
info:
    .long E820
e820_count:
    .long 0
command_line:
    .long 0
drive:
    .long 0

# What the builder of the floppy fills in: see `SectorParameters` in guests/images.
.org 488
load_address:
    .long 0
load_words:
    .long 0
zero_words:
    .long 0
sectors:
    .long 0
    .long command_line          # where to put the command line's address

.org 510
    .word 0xaa55
