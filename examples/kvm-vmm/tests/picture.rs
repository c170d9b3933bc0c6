//! `--dry-run=svg`, read back by an XML parser, beside `--dry-run=json`.

#![cfg(feature = "svg")]
#![allow(clippy::unwrap_used)]

mod common;

use common::{LOOP, TempFile, run};
use guest_images::{Segment, pvh_kernel};
use roxmltree::{Document, Node};

/// What a plan is drawn of.
const PLANS: [&[&str]; 4] = [
    &[],
    &["--memory", "2M"],
    &["--memory", "512G", "--cpus", "8"],
    &["--memory", "64M", "--cpus", "2", "--protocol", "multiboot"],
];

fn number(node: Node<'_, '_>, name: &str) -> f64 {
    node.attribute(name).unwrap().parse().unwrap()
}

/// Left, top, right, bottom.
fn edges(rectangle: Node<'_, '_>) -> [f64; 4] {
    let [x, y, width, height] = ["x", "y", "width", "height"].map(|name| number(rectangle, name));
    [x, y, x + width, y + height]
}

fn child<'a, 'i>(node: Node<'a, 'i>, name: &str) -> Node<'a, 'i> {
    node.children().find(|child| child.has_tag_name(name)).unwrap()
}

/// What a node says; line ends around it say nothing.
fn words<'a>(node: Node<'a, '_>) -> &'a str {
    node.text().unwrap().trim()
}

/// The lines of text in a group.
fn lines(group: Node<'_, '_>) -> Vec<String> {
    let texts = group.children().filter(|node| node.has_tag_name("text"));
    texts.map(|text| words(text).to_owned()).collect()
}

/// The labels of a class.
fn labels<'a, 'i>(picture: &'a Document<'i>, class: &str) -> Vec<Node<'a, 'i>> {
    let has = |node: &Node<'_, '_>| {
        node.attribute("class").is_some_and(|value| value.split(' ').any(|word| word == class))
    };
    picture.descendants().filter(has).collect()
}

/// Checks a picture against what else is said of the same plan.
fn check(arguments: &[&str]) {
    let dry_run = |form: &str| {
        let run = run(&[arguments, &["--cmdline", "hvkit.nonce=1", form]].concat());
        assert_eq!((run.status, run.stderr.as_str()), (0, ""), "{arguments:?}");
        run.stdout
    };
    let text = dry_run("--dry-run=svg");
    assert!(text == dry_run("--dry-run=svg"), "two pictures of one plan differ");
    let picture = Document::parse(&text).unwrap();
    let plan: serde_json::Value = serde_json::from_str(&dry_run("--dry-run=json")).unwrap();
    let address = |value: &serde_json::Value| {
        let digits = value.as_str().unwrap().strip_prefix("0x").unwrap().to_owned();
        u64::from_str_radix(&digits, 16).unwrap()
    };
    let range = |value: &serde_json::Value| {
        format!("{:#014x} .. {:#014x}", address(&value["start"]), address(&value["end"]))
    };

    // Each placement has a label, which says what and where, and how it may be accessed.
    let placed = labels(&picture, "placement");
    let placements = plan["placements"].as_array().unwrap();
    assert_eq!(placed.len(), placements.len());
    for placement in placements {
        let tag = placement["tag"].as_str().unwrap();
        let access = placement["protection"].as_str().unwrap();
        let start = format!("{}, ", range(placement));
        let is_it = |label: &&Node<'_, '_>| {
            let lines = lines(**label);
            lines[0] == tag && lines[1].starts_with(&start) && lines[1].contains(access)
        };
        assert_eq!(placed.iter().filter(is_it).count(), 1, "{tag} {start}");
    }
    // As has each part of the memory map.
    let regions = labels(&picture, "region");
    for region in plan["memory_map"].as_array().unwrap() {
        let kind = format!("{}, ", region["kind"].as_str().unwrap());
        let is_it = |label: &&Node<'_, '_>| {
            let lines = lines(**label);
            lines[0].starts_with(&kind) && lines[1] == range(region)
        };
        assert_eq!(regions.iter().filter(is_it).count(), 1, "{kind} {}", range(region));
    }
    for landmark in ["640 KiB", "1 MiB", "4 GiB"] {
        let marks = labels(&picture, "landmark");
        assert!(marks.into_iter().any(|mark| lines(mark) == [landmark]), "{landmark}");
    }
    check_places(&picture);

    // The arrow of the CPU that starts ends at the bar of what it starts in.
    let [cpu] = labels(&picture, "cpu")[..] else { unreachable!("one CPU starts") };
    let words = lines(cpu);
    let cs = address(&plan["vcpus"][0]["cs.selector"]);
    let rip = address(&plan["vcpus"][0]["rip"]);
    assert!(words[0].starts_with(&format!("cpu 0 starts at {cs:04x}:{rip:x}, in ")), "{words:?}");
    let first = words[2].split(' ').find_map(|word| word.strip_prefix("0x")).unwrap();
    let first = u64::from_str_radix(first, 16).unwrap();
    let at = placements
        .iter()
        .position(|it| (address(&it["start"])..address(&it["end"])).contains(&first))
        .unwrap();
    assert!(words[0].ends_with(placements[at]["tag"].as_str().unwrap()), "{words:?}");
    let bars = child(labels(&picture, "placements")[0], "rect");
    let bars: Vec<_> =
        bars.parent().unwrap().children().filter(|it| it.has_tag_name("rect")).collect();
    let [_, top, right, bottom] = edges(bars[at]);
    let arrow = child(cpu, "line");
    assert!(arrow.attribute("marker-end").is_some());
    let (x, y) = (number(arrow, "x2"), number(arrow, "y2"));
    assert!((x - right).abs() < 0.2 && (top..=bottom).contains(&y), "{x} {y}");
}

/// No two labels overlap, all are on the page, their text is within them, and lines do not cross.
fn check_places(picture: &Document<'_>) {
    let page = picture.root_element();
    let (width, height) = (number(page, "width"), number(page, "height"));
    let boxes = labels(picture, "label");
    for (index, label) in boxes.iter().enumerate() {
        let [left, top, right, bottom] = edges(child(*label, "rect"));
        assert!(left >= 0.0 && top >= 0.0 && right <= width && bottom <= height, "{label:?}");
        for text in label.children().filter(|node| node.has_tag_name("text")) {
            let (x, y) = (number(text, "x"), number(text, "y"));
            // DejaVu Sans Mono of 11 px is 6.63 px wide, and goes 9 px up and 3 px down.
            let letters = u32::try_from(words(text).chars().count()).unwrap();
            let natural = f64::from(letters) * 6.63;
            let wide = text.attribute("textLength").map_or(natural, |most| most.parse().unwrap());
            assert!(x >= left && x + wide <= right, "{text:?}");
            assert!(y - 9.0 >= top && y + 3.0 <= bottom, "{text:?}");
        }
        let near = |node: Node<'_, '_>| (number(child(node, "line"), "y1"), left);
        for other in &boxes[index + 1..] {
            let [l, t, r, b] = edges(child(*other, "rect"));
            let apart = right <= l || r <= left || bottom <= t || b <= top;
            assert!(apart, "{:?} is over {:?}", lines(*label), lines(*other));
            if (l - left).abs() < 0.1 {
                let far = |node| number(child(node, "line"), "y2");
                let order = near(*label).0.total_cmp(&near(*other).0);
                let crosses = far(*label).total_cmp(&far(*other)) == order.reverse();
                assert!(
                    !crosses || (far(*label) - far(*other)).abs() < 0.01,
                    "{label:?} {other:?}"
                );
            }
        }
    }
}

#[test]
fn all_of_a_plan_is_in_its_picture_once_and_can_be_read() {
    PLANS.iter().for_each(|arguments| check(arguments));
}

#[test]
fn firmware_shows_both_copies_and_where_they_differ() {
    let bios = TempFile::new("picture-bios", &[0xF4; 0x2_0000]);
    check(&["--firmware", bios.path()]);
    check(&["--firmware", bios.path(), "--via-hvmloader", "--memory", "64M"]);
    let text = run(&["--dry-run=svg", "--firmware", bios.path()]).stdout;
    let picture = Document::parse(&text).unwrap();
    let bars = labels(&picture, "placements")[0];
    let mut fills: Vec<_> = bars.children().filter_map(|bar| bar.attribute("fill")).collect();
    fills.sort_unstable();
    assert_eq!(fills, ["url(#read-only)", "url(#shadowed)"]);
    // Patterns tell them apart, and not colours alone.
    let strokes = |id: &str| {
        let pattern = picture.descendants().find(|it| it.attribute("id") == Some(id)).unwrap();
        let path = pattern.children().find(|it| it.has_tag_name("path"));
        path.and_then(|path| path.attribute("d")).unwrap_or_default().to_owned()
    };
    let kinds = ["read-write", "read-only", "shadowed"].map(strokes);
    assert!(kinds[0] != kinds[1] && kinds[1] != kinds[2] && kinds[0] != kinds[2], "{kinds:?}");
    let [cpu] = labels(&picture, "cpu")[..] else { unreachable!("one CPU starts") };
    assert!(lines(cpu)[0].starts_with("cpu 0 starts at f000:fff0, in bios"), "{:?}", lines(cpu));
}

#[test]
fn many_placements_and_names_of_any_kind_find_their_place() {
    let segments: Vec<_> =
        (0..30_u64).map(|index| Segment::new(0x10_0000 + (index << 12), 0x1000, LOOP)).collect();
    let name = format!("picture-<{}&{}>", "long".repeat(40), "\"'");
    let kernel = TempFile::new(&name, &pvh_kernel(&segments));
    check(&["--kernel", kernel.path()]);
    let text = run(&["--dry-run=svg", "--kernel", kernel.path()]).stdout;
    let picture = Document::parse(&text).unwrap();
    let title = child(picture.root_element(), "title");
    let path = kernel.path();
    assert_eq!(words(title), format!("{path}, started by pvh"));
}
