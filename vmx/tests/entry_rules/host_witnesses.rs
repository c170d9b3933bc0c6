//! Witnesses for the rules on the host's state.

use vmx::field;

use crate::case::{BEYOND, NOT_CANONICAL, witnesses};

witnesses! {
    H1: |_| () => |c| c.off(field::HOST_CR0, 1 << 5);
    H2: |_| () => |c| c.off(field::HOST_CR4, 1 << 13);
    H3: |c| c.on(field::HOST_CR4, 1 << 23) => |c| c.off(field::HOST_CR0, 1 << 16);
    H4: |c| c.set(field::HOST_CR3, BEYOND - 0x1000) => |c| c.set(field::HOST_CR3, BEYOND);
    H5: |_| () => |c| c.set(field::HOST_SYSENTER_ESP, NOT_CANONICAL);
    H6: |_| () => |c| c.set(field::HOST_SYSENTER_EIP, NOT_CANONICAL);
    H7: |c| { c.exit(12); c.set(field::HOST_PERF_GLOBAL_CTRL, 0xFF); }
        => |c| c.set(field::HOST_PERF_GLOBAL_CTRL, 0x100);
    H8: |_| () => |c| c.set(field::HOST_PAT, 0x02);
    H9: |_| () => |c| c.on(field::HOST_EFER, 1 << 1);
    H10: |_| () => |c| c.off(field::HOST_EFER, 1 << 10);
    H11: |c| { c.exit(28); c.set(field::HOST_S_CET, 0xC3F & !(1 << 10)); }
        => |c| c.on(field::HOST_S_CET, 1 << 10);
    H12: |c| { c.exit(28); c.set(field::HOST_SSP, 0x1004); } => |c| c.set(field::HOST_SSP, 0x1002);
    H13: |c| c.exit(28) => |c| c.set(field::HOST_INTERRUPT_SSP_TABLE, NOT_CANONICAL);
    H14: |c| { c.host32(); c.exit(28); c.set(field::HOST_SSP, 0xFFFF_FFFC); }
        => |c| c.set(field::HOST_SSP, 0x1_0000_0000);
    H15: |c| { c.exit(29); c.set(field::HOST_PKRS, 0xFFFF_FFFF); }
        => |c| c.set(field::HOST_PKRS, 1 << 32);
    H16: |_| () => |c| c.set(field::HOST_GS_SELECTOR, 0x2B);
    H17: |_| () => |c| c.set(field::HOST_CS_SELECTOR, 0);
    H18: |_| () => |c| c.set(field::HOST_TR_SELECTOR, 0);
    H19: |c| c.host32() => |c| c.set(field::HOST_SS_SELECTOR, 0);
    H20: |_| () => |c| c.set(field::HOST_GS_BASE, NOT_CANONICAL);
    H21: |_| () => |c| c.set(field::HOST_TR_BASE, NOT_CANONICAL);
    H22: |_| () => |c| c.set(field::HOST_IDTR_BASE, NOT_CANONICAL);
    H23: |c| c.host32() => |c| c.context.host_lma = Some(true);
    H24: |_| () => |c| c.context.host_lma = Some(false);
    H25: |c| c.host32() => |c| c.set(field::HOST_RIP, 1 << 32);
    H26: |_| () => |c| c.off(field::HOST_CR4, 1 << 5);
    H27: |c| { c.secondary_exit(2); c.set(field::HOST_SPEC_CTRL, 7); }
        => |c| c.set(field::HOST_SPEC_CTRL, 8);
    H28: |c| { c.secondary_exit(1); c.set(field::HOST_FRED_RSP2, 0x1040); }
        => |c| c.set(field::HOST_FRED_RSP2, 0x1020);
}
