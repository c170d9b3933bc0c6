//! `cargo xtask ticks`: what a CPUID exit costs on bare metal, in Bochs, where each instruction is a
//! tick and every run takes the same ticks.

use std::fs;

use anyhow::{Context, Result, bail, ensure};

use crate::bench::guest_file;
use crate::process;

/// How often the guest executes the instruction.
const ROUNDS: u32 = 10_000;
/// The bar: the most that a round trip may cost, whatever is asked.
const MOST_TICKS: u64 = 70;
/// What CPUID is asked: leaf and subleaf. Leaf 1 changes with the guest's CR4, leaf 0Dh with XCR0; with
/// leaf 2 the subleaf does not count.
const ASKED: [(u32, u32); 9] =
    [(0, 0), (1, 0), (2, 0xFFFF), (0x15, 0), (0x8000_0001, 0), (4, 3), (7, 0), (0xB, 1), (0xD, 1)];
/// `nop` and `cpuid`, two bytes each.
const NOP: [u8; 2] = [0x66, 0x90];
const CPUID: [u8; 2] = [0x0F, 0xA2];
/// `mov` twice, `dec` and `jnz`.
const LOOP_INSTRUCTIONS: usize = 4;
/// The status with which the guest ends.
const STATUS: i32 = 3;

/// What a round trip costs.
#[derive(Debug)]
pub(crate) struct Cost {
    /// What was asked: leaf and subleaf.
    pub(crate) leaf: u32,
    pub(crate) subleaf: u32,
    /// Instructions, the guest's CPUID included.
    pub(crate) ticks: u64,
    /// Those of them that Bochs prices too low: VMREAD, VMWRITE, FXSAVE and FXRSTOR.
    pub(crate) vmreads: usize,
    pub(crate) vmwrites: usize,
    pub(crate) fp_saves: usize,
}

/// Measures all that is asked.
pub(crate) fn measure() -> Result<Vec<Cost>> {
    let (nop, _) = run(NOP, [0, 0])?;
    ASKED
        .into_iter()
        .map(|(leaf, subleaf)| {
            let (ticks, end) = run(CPUID, [leaf, subleaf])?;
            let difference = ticks.checked_sub(nop).context("CPUID is faster than NOP")?;
            // The devices have their time too, every few thousand rounds.
            let mean = difference / u64::from(ROUNDS) + 1;
            let trace = trace([leaf, subleaf], end - difference / 2, 4 * mean)?;
            let ticks = (trace.len() - LOOP_INSTRUCTIONS) as u64;
            ensure!(ticks == mean, "a round of {ticks} instructions, but {mean} ticks in the mean");
            let count =
                |names: &[&str]| trace.iter().filter(|name| names.contains(&name.as_str())).count();
            Ok(Cost {
                leaf,
                subleaf,
                ticks,
                vmreads: count(&["vmread"]),
                vmwrites: count(&["vmwrite"]),
                fp_saves: count(&["fxsave", "fxsave64", "fxrstor", "fxrstor64"]),
            })
        })
        .collect()
}

/// Prints the costs.
pub(crate) fn report(costs: &[Cost]) {
    println!(
        "ticks of a CPUID round trip in Bochs, the guest's instruction included, its loop not"
    );
    println!("  leaf        subleaf  ticks  VMREAD  VMWRITE  FXSAVE and FXRSTOR");
    for cost in costs {
        let Cost { leaf, subleaf, ticks, vmreads, vmwrites, fp_saves } = cost;
        println!(
            "  {leaf:<#10x}  {subleaf:<#7x}  {ticks:>5}  {vmreads:>6}  {vmwrites:>7}  {fp_saves:>6}"
        );
    }
    println!(
        "bar {MOST_TICKS}: {}",
        if too_many(costs).is_none() { "holds" } else { "DOES NOT HOLD" }
    );
}

/// What costs more than it may.
pub(crate) fn too_many(costs: &[Cost]) -> Option<String> {
    let Cost { leaf, subleaf, ticks, .. } = costs.iter().find(|cost| cost.ticks > MOST_TICKS)?;
    Some(format!("leaf {leaf:#x}, subleaf {subleaf:#x}: {ticks} ticks, over {MOST_TICKS}"))
}

/// `mov esi, ROUNDS; again: mov ecx, SUBLEAF; mov eax, LEAF; INSTRUCTION; dec esi; jnz again; mov al,
/// 1; out 0xF4, al`.
fn code(instruction: [u8; 2], [leaf, subleaf]: [u32; 2]) -> Vec<u8> {
    let [a, b] = instruction;
    [
        &[0xBE][..],
        &ROUNDS.to_le_bytes(),
        &[0xB9],
        &subleaf.to_le_bytes(),
        &[0xB8],
        &leaf.to_le_bytes(),
        &[a, b, 0x4E, 0x75, 0xF1, 0xB0, 1, 0xE6, 0xF4],
    ]
    .concat()
}

/// Runs the loop; returns how many ticks the guest took, and at which it ended.
fn run(instruction: [u8; 2], asked: [u32; 2]) -> Result<(u64, u64)> {
    let (status, _, said) = hypervisor(instruction, asked, &["--stats"])?;
    ensure!(status == Some(STATUS), "the guest ended with {status:?}: {said}");
    let line = said.lines().find(|line| line.contains("TSC ticks")).context("no ticks")?;
    let mut numbers = line.split(|letter: char| !letter.is_ascii_digit()).filter(|w| !w.is_empty());
    let mut number = || numbers.next().and_then(|word| word.parse().ok()).context("no ticks");
    Ok((number()?, number()?))
}

/// Returns the mnemonics of one round: from one CPUID of the guest to the next.
fn trace(asked: [u32; 2], from: u64, count: u64) -> Result<Vec<String>> {
    let (_, trace, _) = hypervisor(CPUID, asked, &["--trace", &format!("{from},{count}")])?;
    // (0).[1234] [0x000000100005] 0010:0000000000100005 (unk. ctxt): cpuid    ; 0fa2
    let instruction = |line: &str| {
        let (place, instruction) = line.split_once("ctxt): ")?;
        let name = instruction.split_whitespace().next()?.to_owned();
        // The guest's code segment; the hypervisor has another, and executes CPUID too.
        Some((place.contains(" 0010:"), name))
    };
    let starts_round = |(is_guest, name): &(bool, String)| *is_guest && name == "cpuid";
    let executed: Vec<_> = trace.lines().filter_map(instruction).collect();
    let mut starts = (0..executed.len()).filter(|index| starts_round(&executed[*index]));
    let (Some(first), Some(second)) = (starts.next(), starts.next()) else {
        bail!("the trace has no whole round");
    };
    Ok(executed[first..second].iter().map(|(_, name)| name.clone()).collect())
}

fn hypervisor(
    instruction: [u8; 2],
    asked: [u32; 2],
    options: &[&str],
) -> Result<(Option<i32>, String, String)> {
    let folder = crate::paths::target().join("ticks");
    fs::create_dir_all(&folder)?;
    let guest = folder.join("guest.elf");
    fs::write(&guest, guest_file(&code(instruction, asked)))?;
    let mut cargo = process::cargo();
    cargo.args(["run", "--quiet", "--release", "--example", "bare-metal", "--"]);
    cargo.args(["--memory", "8M", "--timeout", "120", "--kernel"]).arg(&guest).args(options);
    let output = cargo.output()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok((output.status.code(), text(&output.stdout), text(&output.stderr)))
}
