//! A plan as a picture: the memory map as a column, beside it what is placed, and where the CPU starts.

use boot_plan::{BootPlan, Contents, MemoryMap, Placement, Protection};
use guest_state::{Activity, GpaRange, MemoryKind, VcpuState};
use svg::Document;
use svg::node::element::{
    Definitions, Description, Group, Line, Path, Pattern, Rectangle, Text, Title,
};

use super::labels::{Wish, arrange};
use super::scale::Scale;

/// From left to right: labels of the map, the map, what is placed, labels of that.
const MAP_LABELS: Column = Column { left: 16.0, width: 300.0 };
const MAP: Column = Column { left: 366.0, width: 90.0 };
const PLACED: Column = Column { left: 470.0, width: 110.0 };
const PLACED_LABELS: Column = Column { left: 640.0, width: 560.0 };
const WIDTH: f64 = 1216.0;
/// Where columns begin, below the heading.
const TOP: f64 = 84.0;

/// A letter of the fonts asked for is as wide as this at most.
const LETTER_WIDTH: f64 = 6.7;
const LINE_HEIGHT: f64 = 14.0;
const MARGIN: f64 = 4.0;

/// Addresses that everybody knows.
const LANDMARKS: [(u64, &str); 3] =
    [(640 << 10, "640 KiB"), (1 << 20, "1 MiB"), (4 << 30, "4 GiB")];

#[derive(Clone, Copy)]
struct Column {
    left: f64,
    width: f64,
}

impl Column {
    const fn right(self) -> f64 {
        self.left + self.width
    }
}

/// How a thing is filled: a pattern each, so that nobody has to tell colours apart.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Fill {
    name: &'static str,
    colour: &'static str,
    /// What is drawn over the colour, in a square of eight by eight.
    strokes: &'static str,
    meaning: &'static str,
}

const READ_WRITE: Fill =
    Fill { name: "read-write", colour: "#cfe3f7", strokes: "", meaning: "read-write" };
const READ_ONLY: Fill = Fill {
    name: "read-only",
    colour: "#f7e3cf",
    strokes: "M0,8L8,0M-2,2L2,-2M6,10L10,6",
    meaning: "read-only",
};
const SHADOWED: Fill = Fill {
    name: "shadowed",
    colour: "#e6d5f0",
    strokes: "M0,8L8,0M0,0L8,8",
    meaning: "shadowed: ROM that RAM can replace",
};
const USABLE: Fill = Fill { name: "usable", colour: "#e4f1df", strokes: "", meaning: "usable" };
const ACPI: Fill =
    Fill { name: "acpi", colour: "#dff1ee", strokes: "M0,2H8M0,6H8", meaning: "ACPI" };
const RESERVED: Fill = Fill {
    name: "reserved",
    colour: "#e2e2e2",
    strokes: "M2,1v2M1,2h2M6,5v2M5,6h2",
    meaning: "reserved, or of another kind",
};
const NOTHING: Fill =
    Fill { name: "nothing", colour: "#ffffff", strokes: "M0,0", meaning: "not in the map" };
const FILLS: [Fill; 7] = [READ_WRITE, READ_ONLY, SHADOWED, USABLE, ACPI, RESERVED, NOTHING];

impl Fill {
    const fn of_placement(placement: &Placement<'_>) -> Self {
        match placement.protection {
            Protection::ReadWrite => READ_WRITE,
            Protection::ReadOnly => READ_ONLY,
            Protection::Shadowed => SHADOWED,
        }
    }

    const fn of_kind(kind: MemoryKind) -> Self {
        match kind {
            MemoryKind::RAM => USABLE,
            MemoryKind::ACPI | MemoryKind::NVS => ACPI,
            _ => RESERVED,
        }
    }

    fn url(self) -> String {
        format!("url(#{})", self.name)
    }
}

/// A text that belongs to a place in a column.
struct Label {
    class: &'static str,
    /// The height that it points to.
    anchor: f64,
    lines: Vec<String>,
}

impl Label {
    fn height(&self) -> f64 {
        let lines = u32::try_from(self.lines.len()).unwrap_or(u32::MAX);
        2.0 * MARGIN + LINE_HEIGHT * f64::from(lines)
    }
}

/// Draws a plan, with a title.
pub(super) fn draw(plan: &BootPlan<'_>, title: &str) -> String {
    let scale = Scale::new(edges(plan), TOP);
    let (map, map_labels) = draw_map(plan, &scale);
    let (placed, placed_labels) = draw_placements(plan, &scale);
    let (map_labels, left_end) = draw_labels(map_labels, MAP_LABELS, MAP.left);
    let (placed_labels, right_end) = draw_labels(placed_labels, PLACED_LABELS, PLACED.right());
    let columns_end = scale.bottom().max(left_end).max(right_end);
    let height = columns_end + 96.0;

    let document = Document::new()
        .set("viewBox", (0, 0, WIDTH, height))
        .set("width", WIDTH)
        .set("height", height)
        .set("font-family", "DejaVu Sans Mono, Menlo, Consolas, monospace")
        .set("font-size", 11)
        .add(Title::new(title))
        .add(
            Description::new()
                .add(svg::node::Text::new("What a guest finds at its first instruction")),
        )
        .add(definitions())
        .add(rectangle(0.0, 0.0, WIDTH, height).set("fill", "#ffffff"))
        .add(heading(title))
        .add(text(16.0, 52.0, &waiting(plan)))
        .add(text(MAP.left, TOP - 8.0, "memory map"))
        .add(text(PLACED.left, TOP - 8.0, "what is placed"));
    let document = document.add(map).add(placed).add(map_labels).add(placed_labels);
    document.add(legend(columns_end + 24.0)).to_string() + "\n"
}

/// All addresses where something begins or ends.
fn edges(plan: &BootPlan<'_>) -> Vec<u64> {
    let regions = plan.memory.regions().iter().map(|region| region.range);
    let ranges = regions.chain(plan.placements.iter().filter_map(Placement::range));
    let ends = |range: GpaRange| [range.start().as_u64(), range.end().as_u64()];
    ranges.flat_map(ends).chain(LANDMARKS.map(|(address, _)| address)).collect()
}

/// Says what the CPUs do that don't start.
fn waiting(plan: &BootPlan<'_>) -> String {
    let waits = |state: &&VcpuState| state.activity == Activity::WaitForSipi;
    match plan.vcpus.iter().filter(waits).count() {
        0 => "one CPU".to_owned(),
        1 => "two CPUs, of which the second waits for its SIPI".to_owned(),
        others => format!("{} CPUs, of which all but the first wait for their SIPI", others + 1),
    }
}

fn draw_map(plan: &BootPlan<'_>, scale: &Scale) -> (Group, Vec<Label>) {
    let mut group = Group::new().set("class", "map");
    let mut labels = Vec::new();
    let mut draw = |range: GpaRange, fill: Fill, name: String| {
        group = std::mem::take(&mut group).add(bar(MAP, range, scale, fill));
        let size = size(range.size_bytes());
        let lines = vec![format!("{name}, {size}"), addresses(range)];
        labels.push(Label { class: "label region", anchor: middle(range, scale), lines });
    };
    let mut at = guest_state::Gpa::ZERO;
    for region in plan.memory.regions() {
        if let Some(gap) =
            GpaRange::from_bounds(at, region.range.start()).filter(|it| !it.is_empty())
        {
            draw(gap, NOTHING, "no memory".to_owned());
        }
        draw(region.range, Fill::of_kind(region.kind), region.kind.to_string());
        at = region.range.end();
    }
    let hole = GpaRange::from_bounds(at, MemoryMap::PC_HOLE_END).filter(|it| !it.is_empty());
    if let Some(hole) = hole {
        draw(hole, NOTHING, "no memory: devices, ROM".to_owned());
    }
    for (address, name) in LANDMARKS {
        let y = scale.y(address);
        let (left, right) = (MAP.left - 6.0, PLACED.right());
        group = group.add(line(left, y, right, y).set("stroke-dasharray", "2 3"));
        labels.push(Label { class: "label landmark", anchor: y, lines: vec![name.to_owned()] });
    }
    (group, labels)
}

fn draw_placements(plan: &BootPlan<'_>, scale: &Scale) -> (Group, Vec<Label>) {
    let mut group = Group::new().set("class", "placements");
    let mut labels = Vec::new();
    for placement in &plan.placements {
        let range = placement.range().unwrap_or_default();
        let fill = Fill::of_placement(placement);
        let is_zero = matches!(placement.contents, Contents::Zeros(_));
        let bar = bar(PLACED, range, scale, fill);
        group = group.add(if is_zero { bar.set("stroke-dasharray", "4 2") } else { bar });
        let contents = match placement.contents {
            Contents::Zeros(_) => ", zeros",
            Contents::File { .. } => ", from a file",
            Contents::Owned(_) | Contents::Borrowed(_) => "",
        };
        let (at, size) = (addresses(range), size(range.size_bytes()));
        let lines =
            vec![placement.tag.to_owned(), format!("{at}, {size}, {}{contents}", fill.name)];
        labels.push(Label { class: "label placement", anchor: middle(range, scale), lines });
    }
    for (index, state) in plan.vcpus.iter().enumerate() {
        let Ok(at) = plan.first_instruction(state) else { continue };
        if state.activity != Activity::Active {
            continue;
        }
        let (selector, rip) = (state.cs.selector, state.rip);
        let holds = |it: &&Placement<'_>| it.range().is_some_and(|range| range.contains(at));
        let tag = plan.placements.iter().find(holds).map_or("nothing", |it| it.tag);
        let lines = vec![
            format!("cpu {index} starts at {selector:04x}:{rip:x}, in {tag}"),
            state.in_words().to_string(),
            format!("which is {:#014x} in memory", at.as_u64()),
        ];
        labels.push(Label { class: "label cpu", anchor: scale.y(at.as_u64()), lines });
    }
    (group, labels)
}

/// Draws labels with lines to the column that they belong to; returns where they end as well.
fn draw_labels(mut labels: Vec<Label>, column: Column, edge: f64) -> (Group, f64) {
    labels.sort_by(|a, b| a.anchor.total_cmp(&b.anchor));
    let wish = |label: &Label| Wish { middle: label.anchor, height: label.height() };
    let wishes: Vec<_> = labels.iter().map(wish).collect();
    let mut group = Group::new().set("class", "labels");
    let mut end = TOP;
    for (label, top) in labels.iter().zip(arrange(&wishes, TOP)) {
        let height = label.height();
        end = end.max(top + height);
        let near = if column.left < edge { column.right() } else { column.left };
        let leader = line(near, top + height / 2.0, edge, label.anchor);
        let is_cpu = label.class == "label cpu";
        let leader = if is_cpu {
            leader.set("stroke", "#b00020").set("stroke-width", 2).set("marker-end", "url(#arrow)")
        } else {
            leader
        };
        let frame = if is_cpu { "#b00020" } else { "#888888" };
        let frame = rectangle(column.left, top, column.width, height).set("stroke", frame);
        let mut drawn = Group::new().set("class", label.class);
        drawn = drawn.add(leader).add(frame.set("fill", "#fdfdfd").set("rx", 3));
        let mut y = top + MARGIN - 3.0;
        for (index, content) in label.lines.iter().enumerate() {
            y += LINE_HEIGHT;
            let most = column.width - 2.0 * MARGIN;
            let mut drawn_line =
                squeezed(text(column.left + MARGIN, y, content), content, LETTER_WIDTH, most);
            if index == 0 {
                drawn_line = drawn_line.set("font-weight", "bold");
            }
            drawn = drawn.add(drawn_line);
        }
        group = group.add(drawn);
    }
    (group, end)
}

fn legend(top: f64) -> Group {
    let mut group = Group::new().set("class", "legend");
    let mut left = 16.0;
    for fill in FILLS {
        group = group
            .add(rectangle(left, top, 24.0, 14.0).set("fill", fill.url()).set("stroke", "#333333"))
            .add(text(left + 30.0, top + 11.0, fill.meaning));
        let letters = u32::try_from(fill.meaning.len()).unwrap_or(0);
        left += 46.0 + LETTER_WIDTH * f64::from(letters);
    }
    let notes = "Addresses grow upwards. Each piece is as high as the logarithm of its size says. \
                 Dashed outlines are zeros.";
    group.add(text(16.0, top + 36.0, notes))
}

fn definitions() -> Definitions {
    let mut definitions = Definitions::new();
    for fill in FILLS {
        let square = rectangle(0.0, 0.0, 8.0, 8.0).set("fill", fill.colour);
        let pattern = Pattern::new()
            .set("id", fill.name)
            .set("patternUnits", "userSpaceOnUse")
            .set("width", 8)
            .set("height", 8)
            .add(square);
        let strokes = Path::new().set("d", fill.strokes).set("stroke", "#555555");
        let has_strokes = !fill.strokes.is_empty();
        definitions = definitions.add(if has_strokes {
            pattern.add(strokes.set("fill", "none"))
        } else {
            pattern
        });
    }
    let head = Path::new().set("d", "M0,0L8,4L0,8z").set("fill", "#b00020");
    let arrow = svg::node::element::Marker::new()
        .set("id", "arrow")
        .set("markerUnits", "userSpaceOnUse")
        .set("markerWidth", 10)
        .set("markerHeight", 10)
        .set("refX", 8)
        .set("refY", 4)
        .set("orient", "auto")
        .add(head);
    definitions.add(arrow)
}

fn bar(column: Column, range: GpaRange, scale: &Scale, fill: Fill) -> Rectangle {
    let (top, bottom) = (scale.y(range.end().as_u64()), scale.y(range.start().as_u64()));
    let bar = rectangle(column.left, top, column.width, bottom - top);
    bar.set("fill", fill.url()).set("stroke", "#333333")
}

fn middle(range: GpaRange, scale: &Scale) -> f64 {
    f64::midpoint(scale.y(range.start().as_u64()), scale.y(range.end().as_u64()))
}

fn rectangle(x: f64, y: f64, width: f64, height: f64) -> Rectangle {
    let rectangle = Rectangle::new().set("x", round(x)).set("y", round(y));
    rectangle.set("width", round(width)).set("height", round(height))
}

fn line(x1: f64, y1: f64, x2: f64, y2: f64) -> Line {
    let line = Line::new().set("x1", round(x1)).set("y1", round(y1));
    line.set("x2", round(x2)).set("y2", round(y2)).set("stroke", "#666666")
}

fn text(x: f64, y: f64, content: &str) -> Text {
    Text::new(content).set("x", round(x)).set("y", round(y))
}

fn heading(title: &str) -> Text {
    const SIZE: f64 = 16.0;
    let heading = text(16.0, 30.0, title).set("font-size", SIZE).set("font-weight", "bold");
    squeezed(heading, title, LETTER_WIDTH * SIZE / 11.0, WIDTH - 32.0)
}

/// Squeezes a text that needs more room than there is: a name may be of any length.
fn squeezed(text: Text, content: &str, letter_width: f64, most: f64) -> Text {
    let letters = u32::try_from(content.chars().count()).unwrap_or(u32::MAX);
    if f64::from(letters) * letter_width <= most {
        return text;
    }
    text.set("textLength", round(most)).set("lengthAdjust", "spacingAndGlyphs")
}

/// To a tenth: what is more nobody sees.
fn round(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

fn addresses(range: GpaRange) -> String {
    format!("{:#014x} .. {:#014x}", range.start(), range.end())
}

/// A size with the largest unit that divides it.
fn size(bytes: u64) -> String {
    match bytes.trailing_zeros() {
        _ if bytes == 0 => "0 B".to_owned(),
        30.. => format!("{} GiB", bytes >> 30),
        20.. => format!("{} MiB", bytes >> 20),
        10.. => format!("{} KiB", bytes >> 10),
        _ => format!("{bytes} B"),
    }
}
