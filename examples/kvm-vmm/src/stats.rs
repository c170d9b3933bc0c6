//! What a run took.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use crate::options::Format;

/// Counts and times of one run, from the start of the program.
#[derive(Debug)]
pub(crate) struct Stats {
    started: Instant,
    ready: Option<Duration>,
    first_byte: Option<Duration>,
    console_bytes: u64,
    resets: u64,
    exits: BTreeMap<&'static str, u64>,
    ports: BTreeMap<u16, u64>,
}

impl Stats {
    pub(crate) fn new() -> Self {
        Self {
            started: Instant::now(),
            ready: None,
            first_byte: None,
            console_bytes: 0,
            resets: 0,
            exits: BTreeMap::new(),
            ports: BTreeMap::new(),
        }
    }

    /// The guest is about to execute its first instruction.
    pub(crate) fn ready(&mut self) {
        self.ready.get_or_insert(self.started.elapsed());
    }

    pub(crate) fn console(&mut self, bytes: usize) {
        self.first_byte.get_or_insert_with(|| self.started.elapsed());
        self.console_bytes += bytes as u64;
    }

    pub(crate) fn reset(&mut self) {
        self.resets += 1;
    }

    pub(crate) fn exit(&mut self, kind: &'static str) {
        *self.exits.entry(kind).or_default() += 1;
    }

    pub(crate) fn port(&mut self, port: u16) {
        *self.ports.entry(port).or_default() += 1;
    }

    /// Says it all, with the peak memory of this process.
    pub(crate) fn show(&self, format: Format) -> String {
        match format {
            Format::Text => self.text(),
            Format::Json => self.json().to_string() + "\n",
        }
    }

    fn text(&self) -> String {
        let mut lines = vec!["statistics".to_owned()];
        let mut line = |name: &str, value: String| lines.push(format!("  {name:<22} {value}"));
        let micros = |time: Option<Duration>| {
            time.map_or("-".to_owned(), |time| format!("{} us", time.as_micros()))
        };
        line("guest ready after", micros(self.ready));
        line("first console byte", micros(self.first_byte));
        line("total", micros(Some(self.started.elapsed())));
        if let Some(kib) = peak_memory_kib() {
            line("peak memory", format!("{kib} KiB"));
        }
        line("console bytes", self.console_bytes.to_string());
        line("resets", self.resets.to_string());
        line("exits", self.exits.values().sum::<u64>().to_string());
        for (kind, count) in &self.exits {
            line(&format!("  {kind}"), count.to_string());
        }
        for (port, count) in &self.ports {
            line(&format!("  port {port:#x}"), count.to_string());
        }
        lines.join("\n") + "\n"
    }

    fn json(&self) -> Value {
        let micros = |time: Option<Duration>| time.map(|time| time.as_micros().to_string());
        let number = |text: Option<String>| text.and_then(|text| text.parse::<u64>().ok());
        let ports: Map<String, Value> = self
            .ports
            .iter()
            .map(|(port, count)| (format!("{port:#x}"), Value::from(*count)))
            .collect();
        json!({
            "ready_us": number(micros(self.ready)),
            "first_byte_us": number(micros(self.first_byte)),
            "total_us": number(micros(Some(self.started.elapsed()))),
            "peak_memory_kib": peak_memory_kib(),
            "console_bytes": self.console_bytes,
            "resets": self.resets,
            "exits": self.exits,
            "ports": ports,
        })
    }
}

/// The peak of this process' resident memory, as the kernel counts it.
fn peak_memory_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}
