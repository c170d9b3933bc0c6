//! The 8259A pair.

use chipset::{Pic, PicPort};
use proptest::prelude::*;

use PicPort::{
    PrimaryCommand, PrimaryData, PrimaryElcr, SecondaryCommand, SecondaryData, SecondaryElcr,
};

const EOI: u8 = 0x20;

/// A pair as a PC's firmware leaves it, with vectors 08h and 70h, nothing masked.
fn pair(icw4: u8) -> Pic {
    let mut pic = Pic::new();
    for (command, data, base, cascade) in
        [(PrimaryCommand, PrimaryData, 0x08, 0x04), (SecondaryCommand, SecondaryData, 0x70, 0x02)]
    {
        pic.write(command, 0x11);
        pic.write(data, base);
        pic.write(data, cascade);
        pic.write(data, icw4);
    }
    pic
}

fn pulse(pic: &mut Pic, line: u8) {
    pic.set_irq(line, true);
    pic.set_irq(line, false);
}

fn in_service(pic: &mut Pic, command: PicPort) -> u8 {
    pic.write(command, 0x0B);
    pic.read(command)
}

fn requests(pic: &mut Pic, command: PicPort) -> u8 {
    pic.write(command, 0x0A);
    pic.read(command)
}

#[test]
fn interrupt_runs_from_line_to_end() {
    let mut pic = pair(0x01);
    assert!(!pic.output());
    pic.set_irq(4, true);
    assert!(pic.output());
    assert_eq!(requests(&mut pic, PrimaryCommand), 0x10);
    assert_eq!(pic.acknowledge(), 0x0C);
    assert!(!pic.output());
    assert_eq!(in_service(&mut pic, PrimaryCommand), 0x10);
    assert_eq!(requests(&mut pic, PrimaryCommand), 0x00);
    pic.write(PrimaryCommand, EOI);
    assert_eq!(in_service(&mut pic, PrimaryCommand), 0x00);
    assert!(!pic.output(), "one edge, one interrupt");
}

#[test]
fn second_controller_goes_through_the_cascade() {
    let mut pic = pair(0x01);
    pic.set_irq(8, true);
    assert_eq!(pic.acknowledge(), 0x70);
    assert_eq!(in_service(&mut pic, PrimaryCommand), 0x04);
    assert_eq!(in_service(&mut pic, SecondaryCommand), 0x01);
    pulse(&mut pic, 12);
    assert!(!pic.output());
    pic.write(SecondaryCommand, EOI);
    assert!(!pic.output(), "the cascade is still in service");
    pic.write(PrimaryCommand, EOI);
    assert_eq!(pic.acknowledge(), 0x74);
}

#[test]
fn cascade_is_blocked_for_itself_unless_specially_nested() {
    for (icw4, nested) in [(0x01, false), (0x11, true)] {
        let mut pic = pair(icw4);
        pulse(&mut pic, 12);
        assert_eq!(pic.acknowledge(), 0x74);
        pulse(&mut pic, 8);
        assert_eq!(pic.output(), nested);
    }
}

#[test]
fn lines_2_and_past_15_are_not_there() {
    let mut pic = pair(0x01);
    for line in [2, 16, 255] {
        pic.set_irq(line, true);
    }
    assert!(!pic.output());
}

#[test]
fn mask_holds_requests_back() {
    let mut pic = pair(0x01);
    pic.write(PrimaryData, 0x10);
    pulse(&mut pic, 4);
    assert!(!pic.output());
    assert_eq!(pic.read(PrimaryData), 0x10);
    pic.write(PrimaryData, 0x00);
    assert_eq!(pic.acknowledge(), 0x0C);
}

#[test]
fn level_interrupts_again_until_it_falls() {
    let mut pic = pair(0x01);
    pic.write(SecondaryElcr, 0x08); // IRQ 11
    pic.set_irq(11, true);
    for _ in 0..2 {
        assert_eq!(pic.acknowledge(), 0x73);
        pic.write(SecondaryCommand, EOI);
        pic.write(PrimaryCommand, EOI);
        assert!(pic.output());
    }
    pic.set_irq(11, false);
    assert_eq!(pic.acknowledge(), 0x77, "spurious: the cascade's edge was seen");
}

#[test]
fn some_lines_are_edges_for_ever() {
    let mut pic = Pic::new();
    pic.write(PrimaryElcr, 0xFF);
    pic.write(SecondaryElcr, 0xFF);
    assert_eq!(pic.read(PrimaryElcr), 0xF8);
    assert_eq!(pic.read(SecondaryElcr), 0xDE);
}

#[test]
fn spurious_interrupts_leave_nothing_to_end() {
    let mut pic = pair(0x01);
    assert_eq!(pic.acknowledge(), 0x0F);
    assert_eq!(in_service(&mut pic, PrimaryCommand), 0x00);

    pic.write(SecondaryElcr, 0x02);
    pic.set_irq(9, true);
    pic.set_irq(9, false);
    assert_eq!(pic.acknowledge(), 0x77);
    assert_eq!(in_service(&mut pic, SecondaryCommand), 0x00);
    assert_eq!(in_service(&mut pic, PrimaryCommand), 0x04, "the first controller needs an end");
}

#[test]
fn specific_end_ends_that_line() {
    let mut pic = pair(0x01);
    pulse(&mut pic, 5);
    let _ = pic.acknowledge();
    pulse(&mut pic, 3);
    let _ = pic.acknowledge();
    pic.write(PrimaryCommand, 0x65);
    assert_eq!(in_service(&mut pic, PrimaryCommand), 0x08);
}

#[test]
fn rotation_puts_the_served_line_last() {
    let mut pic = pair(0x01);
    pulse(&mut pic, 4);
    assert_eq!(pic.acknowledge(), 0x0C);
    pic.write(PrimaryCommand, 0xA0); // rotate on non-specific end
    for line in [3, 4, 5] {
        pulse(&mut pic, line);
    }
    let mut served = Vec::new();
    while pic.output() {
        served.push(pic.acknowledge() - 0x08);
        pic.write(PrimaryCommand, EOI);
    }
    assert_eq!(served, [5, 3, 4]);
}

#[test]
fn priority_can_be_set() {
    let mut pic = pair(0x01);
    pic.write(PrimaryCommand, 0xC5); // 5 is lowest, 6 highest
    for line in [0, 5, 6] {
        pulse(&mut pic, line);
    }
    assert_eq!(pic.acknowledge(), 0x0E);
    assert!(!pic.output());
}

#[test]
fn automatic_end_leaves_nothing_in_service() {
    let mut pic = pair(0x03);
    pulse(&mut pic, 4);
    pulse(&mut pic, 13);
    pulse(&mut pic, 14);
    assert_eq!(pic.acknowledge(), 0x75);
    assert_eq!(pic.acknowledge(), 0x76, "the second controller asks again");
    assert_eq!(pic.acknowledge(), 0x0C);
    assert_eq!(in_service(&mut pic, PrimaryCommand), 0x00);
}

#[test]
fn special_mask_lets_lower_priorities_through() {
    let mut pic = pair(0x01);
    pulse(&mut pic, 1);
    let _ = pic.acknowledge();
    pulse(&mut pic, 6);
    assert!(!pic.output());
    pic.write(PrimaryData, 0x02);
    assert!(!pic.output(), "a mask alone does not end the blocking");
    pic.write(PrimaryCommand, 0x68);
    assert_eq!(pic.acknowledge(), 0x0E);
    pic.write(PrimaryCommand, EOI);
    assert_eq!(in_service(&mut pic, PrimaryCommand), 0x02, "the masked line is not ended");
    pic.write(PrimaryCommand, 0x48);
    pulse(&mut pic, 6);
    assert!(!pic.output());
}

#[test]
fn poll_acknowledges() {
    let mut pic = pair(0x01);
    pic.write(PrimaryCommand, 0x0C);
    assert_eq!(pic.read(PrimaryCommand), 0x00);
    pulse(&mut pic, 5);
    pic.write(PrimaryCommand, 0x0C);
    assert_eq!(pic.read(PrimaryCommand), 0x85);
    assert_eq!(in_service(&mut pic, PrimaryCommand), 0x20);
}

#[test]
fn initialization_forgets_edges_masks_and_service() {
    let mut pic = pair(0x01);
    pic.write(PrimaryData, 0xFF);
    pic.set_irq(4, true);
    pic.write(PrimaryCommand, 0x11);
    for icw in [0x20, 0x04, 0x01] {
        pic.write(PrimaryData, icw);
    }
    assert_eq!(pic.read(PrimaryData), 0x00);
    assert!(!pic.output(), "the line must rise again");
    pulse(&mut pic, 4);
    assert!(!pic.output() || pic.acknowledge() == 0x24);
}

#[test]
fn short_initializations_end_where_they_say() {
    let mut pic = Pic::new();
    pic.write(PrimaryCommand, 0x12); // single, no ICW4
    pic.write(PrimaryData, 0x40);
    pic.write(PrimaryData, 0xA5);
    assert_eq!(pic.read(PrimaryData), 0xA5);
    pic.write(PrimaryCommand, 0x13); // single, ICW4
    for value in [0x40, 0x01, 0x5A] {
        pic.write(PrimaryData, value);
    }
    assert_eq!(pic.read(PrimaryData), 0x5A);
}

#[test]
fn second_controllers_request_survives_the_firsts_initialization() {
    let mut pic = pair(0x01);
    pic.write(SecondaryElcr, 0x08);
    pic.set_irq(11, true);
    pic.write(PrimaryCommand, 0x11);
    for icw in [0x20, 0x04, 0x01] {
        pic.write(PrimaryData, icw);
    }
    assert_eq!(pic.acknowledge(), 0x73);
}

/// The lines by falling priority: the second controller's stand where its cascade does.
const BY_PRIORITY: [u8; 15] = [0, 1, 8, 9, 10, 11, 12, 13, 14, 15, 3, 4, 5, 6, 7];

proptest! {
    /// With edges, no masks and every interrupt ended at once, lines are served by priority.
    #[test]
    fn pending_lines_are_served_by_priority(lines in prop::collection::btree_set(0u8..16, 0..16)) {
        let mut pic = pair(0x01);
        for &line in &lines {
            pulse(&mut pic, line);
        }
        for line in BY_PRIORITY.into_iter().filter(|line| lines.contains(line)) {
            let vector = if line < 8 { 0x08 + line } else { 0x70 + line - 8 };
            prop_assert!(pic.output());
            prop_assert_eq!(pic.acknowledge(), vector);
            if line >= 8 {
                pic.write(SecondaryCommand, EOI);
            }
            pic.write(PrimaryCommand, EOI);
        }
        prop_assert!(!pic.output());
    }
}
