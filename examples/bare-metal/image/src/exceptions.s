# Entries of the host's exceptions. None returns: an exception in the host is a bug, which Rust
# reports.

.section .text
.code64

# Stack: vector, error code, RIP, CS, RFLAGS, RSP, SS.
host_exception_entry:
    push rax
    push rcx
    push rdx
    push rbx
    push rbp
    push rsi
    push rdi
    push r8
    push r9
    push r10
    push r11
    push r12
    push r13
    push r14
    push r15
    cld
    mov rdi, rsp
    and rsp, -16
    call host_exception
    ud2

# Sixteen bytes an entry, so that Rust can compute their addresses.
.balign 16
.globl host_exception_entries
host_exception_entries:
.set vector, 0
.rept 32
    .balign 16
    .if (1 << vector) & 0x60227d00
    .else
        push 0                  # no error code: push one
    .endif
    push vector
    jmp host_exception_entry
    .set vector, vector + 1
.endr
