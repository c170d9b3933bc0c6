//! The guest as gdb sees it while it is halted: a process with a thread for each CPU.

use std::num::NonZeroUsize;

use gdbstub::common::{Signal, Tid};
use gdbstub::outputln;
use gdbstub::target::ext::base::BaseOps;
use gdbstub::target::ext::base::multithread::{
    MultiThreadBase, MultiThreadResume, MultiThreadResumeOps, MultiThreadSchedulerLocking,
    MultiThreadSchedulerLockingOps, MultiThreadSingleStep, MultiThreadSingleStepOps,
};
use gdbstub::target::ext::breakpoints::{
    Breakpoints as BreakpointKinds, BreakpointsOps, HwBreakpoint, HwBreakpointOps, HwWatchpoint,
    HwWatchpointOps, SwBreakpoint, SwBreakpointOps, WatchKind,
};
use gdbstub::target::ext::monitor_cmd::{ConsoleOutput, MonitorCmd, MonitorCmdOps};
use gdbstub::target::ext::thread_extra_info::{ThreadExtraInfo, ThreadExtraInfoOps};
use gdbstub::target::{Target, TargetError, TargetResult};
use guest_state::{Gpa, Gva, PagingState, VcpuState};

use super::arch::{Layout, X86, from_gdb, to_gdb};
use super::breakpoints::{Breakpoints, Slot, SlotKind};
use super::walk::{paging, translate};
use crate::board::View;
use crate::failure::Failure;
use crate::registers;
use crate::sys::Vcpu;

/// "Bad address", as gdb says.
const EFAULT: u8 = 14;

/// What `monitor help` says.
const MONITOR_HELP: &str = "\
monitor registers  the registers of all CPUs, control and segment registers among them
monitor 32-bit     then: set architecture i8086 (or i386), for code of that kind
monitor 64-bit     then: set architecture i386:x86-64";

/// What a CPU does when the guest goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Action {
    #[default]
    Run,
    Step,
    Stay,
}

/// The guest, its CPUs among it for as long as it is halted.
#[derive(Debug)]
pub(super) struct Guest {
    pub(super) vcpus: Vec<Vcpu>,
    pub(super) view: View,
    pub(super) breakpoints: Breakpoints,
    /// What each CPU is to do next.
    pub(super) actions: Vec<Action>,
    /// Those that gdb named for what comes next.
    pub(super) named: Vec<usize>,
    /// Whether gdb gets the registers of a 32-bit CPU.
    pub(super) narrow: bool,
    /// The CPU that stopped last.
    pub(super) current: usize,
}

/// The thread that CPU `index` is.
pub(super) fn thread(index: usize) -> Tid {
    NonZeroUsize::MIN.saturating_add(index)
}

const fn index(thread: Tid) -> usize {
    thread.get() - 1
}

impl Guest {
    fn state(&self, thread: Tid) -> TargetResult<VcpuState, Self> {
        let vcpu = self.vcpus.get(index(thread)).ok_or(TargetError::NonFatal)?;
        registers::read_core(vcpu.fd()).map_err(TargetError::Fatal)
    }

    /// How the CPUs translate addresses, that which stopped first.
    fn paging(&self) -> Vec<PagingState> {
        let first = self.vcpus.get(self.current).into_iter();
        let rest = self.vcpus.iter().enumerate().filter(|(index, _)| *index != self.current);
        let states = first.chain(rest.map(|(_, vcpu)| vcpu));
        states
            .filter_map(|vcpu| registers::read_core(vcpu.fd()).ok())
            .map(|it| paging(&it))
            .collect()
    }

    /// Calls `act` for each part of a range of linear addresses that is in one page, with where that
    /// is and which bytes of `size` these are, until there is none or `act` says no. Returns how many
    /// bytes that was.
    fn each_page(
        &self,
        start: u64,
        size: usize,
        paging: &PagingState,
        mut act: impl FnMut(Gpa, std::ops::Range<usize>) -> bool,
    ) -> usize {
        let mut done = 0;
        while done < size {
            let address = Gva::new(start.wrapping_add(done as u64));
            let Ok(found) = translate(&self.view, paging, address) else { break };
            // RAM may begin or end within a large page, and ROM within a small one of the map.
            let in_page = 0x1000 - address.as_u64() % 0x1000;
            let most = usize::try_from(in_page.min(found.contiguous_bytes)).unwrap_or(1);
            let end = size.min(done + most);
            if !act(found.gpa, done..end) {
                break;
            }
            done = end;
        }
        done
    }
}

impl Target for Guest {
    type Arch = X86;
    type Error = Failure;

    fn base_ops(&mut self) -> BaseOps<'_, Self::Arch, Self::Error> {
        BaseOps::MultiThread(self)
    }

    fn guard_rail_implicit_sw_breakpoints(&self) -> bool {
        true
    }

    fn support_breakpoints(&mut self) -> Option<BreakpointsOps<'_, Self>> {
        Some(self)
    }

    fn support_monitor_cmd(&mut self) -> Option<MonitorCmdOps<'_, Self>> {
        Some(self)
    }
}

impl MultiThreadBase for Guest {
    fn read_registers(&mut self, regs: &mut Layout, tid: Tid) -> TargetResult<(), Self> {
        *regs = to_gdb(&self.state(tid)?, self.narrow);
        Ok(())
    }

    fn write_registers(&mut self, regs: &Layout, tid: Tid) -> TargetResult<(), Self> {
        let old = self.state(tid)?;
        let new = from_gdb(&old, regs).ok_or(TargetError::NonFatal)?;
        let vcpu = self.vcpus.get(index(tid)).ok_or(TargetError::NonFatal)?;
        registers::write_general(vcpu.fd(), &old, &new).map_err(TargetError::Fatal)
    }

    fn read_addrs(&mut self, start: u64, data: &mut [u8], tid: Tid) -> TargetResult<usize, Self> {
        let paging = paging(&self.state(tid)?);
        let size = data.len();
        let done = self.each_page(start, size, &paging, |gpa, part| {
            let Some(bytes) = data.get_mut(part) else { return false };
            let read = self.view.peek(gpa, bytes).is_ok();
            self.breakpoints.hide(gpa, bytes);
            read
        });
        if done == 0 && size > 0 { Err(TargetError::Errno(EFAULT)) } else { Ok(done) }
    }

    fn write_addrs(&mut self, start: u64, data: &[u8], tid: Tid) -> TargetResult<(), Self> {
        let paging = paging(&self.state(tid)?);
        let mut parts = Vec::new();
        let found = self.each_page(start, data.len(), &paging, |gpa, part| {
            parts.push((gpa, part));
            true
        });
        let all = found == data.len();
        let written = all
            && parts.into_iter().all(|(gpa, part)| {
                let bytes = data.get(part).unwrap_or_default();
                self.breakpoints.write(&self.view, gpa, bytes)
            });
        if written { Ok(()) } else { Err(TargetError::Errno(EFAULT)) }
    }

    fn list_active_threads(&mut self, report: &mut dyn FnMut(Tid)) -> Result<(), Failure> {
        (0..self.vcpus.len()).for_each(|index| report(thread(index)));
        Ok(())
    }

    fn support_resume(&mut self) -> Option<MultiThreadResumeOps<'_, Self>> {
        Some(self)
    }

    fn support_thread_extra_info(&mut self) -> Option<ThreadExtraInfoOps<'_, Self>> {
        Some(self)
    }
}

impl MultiThreadResume for Guest {
    /// The session lets them go, once gdb has been answered.
    fn resume(&mut self) -> Result<(), Failure> {
        Ok(())
    }

    fn clear_resume_actions(&mut self) -> Result<(), Failure> {
        self.actions = vec![Action::Run; self.vcpus.len()];
        self.named.clear();
        Ok(())
    }

    fn set_resume_action_continue(&mut self, tid: Tid, _: Option<Signal>) -> Result<(), Failure> {
        self.act(tid, Action::Run);
        Ok(())
    }

    fn support_single_step(&mut self) -> Option<MultiThreadSingleStepOps<'_, Self>> {
        Some(self)
    }

    fn support_scheduler_locking(&mut self) -> Option<MultiThreadSchedulerLockingOps<'_, Self>> {
        Some(self)
    }
}

impl Guest {
    fn act(&mut self, tid: Tid, action: Action) {
        let index = index(tid);
        if let Some(slot) = self.actions.get_mut(index) {
            *slot = action;
        }
        self.named.push(index);
    }
}

impl MultiThreadSingleStep for Guest {
    fn set_resume_action_step(&mut self, tid: Tid, _: Option<Signal>) -> Result<(), Failure> {
        self.act(tid, Action::Step);
        Ok(())
    }
}

impl MultiThreadSchedulerLocking for Guest {
    /// Whoever was not named stays.
    fn set_resume_action_scheduler_lock(&mut self) -> Result<(), Failure> {
        for (index, action) in self.actions.iter_mut().enumerate() {
            if !self.named.contains(&index) {
                *action = Action::Stay;
            }
        }
        Ok(())
    }
}

impl ThreadExtraInfo for Guest {
    fn thread_extra_info(&self, tid: Tid, buf: &mut [u8]) -> Result<usize, Failure> {
        let text = match self.state(tid) {
            Ok(state) => format!("CPU {}: {}", index(tid), state.in_words()),
            Err(_) => return Ok(0),
        };
        let length = text.len().min(buf.len());
        buf[..length].copy_from_slice(&text.as_bytes()[..length]);
        Ok(length)
    }
}

impl BreakpointKinds for Guest {
    fn support_sw_breakpoint(&mut self) -> Option<SwBreakpointOps<'_, Self>> {
        Some(self)
    }

    fn support_hw_breakpoint(&mut self) -> Option<HwBreakpointOps<'_, Self>> {
        Some(self)
    }

    fn support_hw_watchpoint(&mut self) -> Option<HwWatchpointOps<'_, Self>> {
        Some(self)
    }
}

impl SwBreakpoint for Guest {
    fn add_sw_breakpoint(&mut self, addr: u64, _: usize) -> TargetResult<bool, Self> {
        let paging = self.paging();
        Ok(self.breakpoints.add_software(&self.view, &paging, addr))
    }

    fn remove_sw_breakpoint(&mut self, addr: u64, _: usize) -> TargetResult<bool, Self> {
        self.breakpoints.remove_software(&self.view, addr);
        Ok(true)
    }
}

impl HwBreakpoint for Guest {
    fn add_hw_breakpoint(&mut self, addr: u64, _: usize) -> TargetResult<bool, Self> {
        Ok(self.breakpoints.add(Slot { linear: addr, bytes: 1, kind: SlotKind::Hardware }))
    }

    fn remove_hw_breakpoint(&mut self, addr: u64, _: usize) -> TargetResult<bool, Self> {
        self.breakpoints.remove(Slot { linear: addr, bytes: 1, kind: SlotKind::Hardware });
        Ok(true)
    }
}

impl HwWatchpoint for Guest {
    fn add_hw_watchpoint(
        &mut self,
        addr: u64,
        len: u64,
        kind: WatchKind,
    ) -> TargetResult<bool, Self> {
        Ok(self.breakpoints.add(Slot { linear: addr, bytes: len, kind: SlotKind::Watch(kind) }))
    }

    fn remove_hw_watchpoint(
        &mut self,
        addr: u64,
        len: u64,
        kind: WatchKind,
    ) -> TargetResult<bool, Self> {
        self.breakpoints.remove(Slot { linear: addr, bytes: len, kind: SlotKind::Watch(kind) });
        Ok(true)
    }
}

impl MonitorCmd for Guest {
    fn handle_monitor_cmd(
        &mut self,
        cmd: &[u8],
        mut out: ConsoleOutput<'_>,
    ) -> Result<(), Failure> {
        match cmd {
            b"registers" => {
                for (index, vcpu) in self.vcpus.iter().enumerate() {
                    let state = registers::read(vcpu.fd())?;
                    outputln!(out, "cpu {}: {}\n{}", index, state.in_words(), state.table());
                }
            }
            b"32-bit" => self.narrow = true,
            b"64-bit" => self.narrow = false,
            _ => outputln!(out, "{MONITOR_HELP}"),
        }
        Ok(())
    }
}
