//! Guest-virtual addresses, as a debugger sees them.

use guest_state::{
    Access, Gva, PagingState, Translation, VcpuState, WalkError, cr4, translate as walk,
};

use crate::board::View;

/// As wide as physical addresses get: which bits are reserved matters little here.
const PHYSICAL_BITS: u32 = 52;

/// Returns how a CPU in this state translates addresses, with nothing kept from a debugger.
pub(super) fn paging(state: &VcpuState) -> PagingState {
    let mut paging = PagingState::new(state, PHYSICAL_BITS);
    paging.cr4 &= !(cr4::SMAP | cr4::PKE | cr4::PKS);
    paging
}

/// Finds the byte at `address`.
pub(super) fn translate(
    view: &View,
    paging: &PagingState,
    address: Gva,
) -> Result<Translation, WalkError> {
    walk(&view.memory.ram, paging, address, Access::SUPERVISOR_READ)
}
