//! What becomes of a fault that comes while another event is delivered.

use super::Event;

/// The classes of the double-fault table.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Benign,
    Contributory,
    PageFault,
    DoubleFault,
}

/// # Source
/// Intel SDM Vol. 3A, "Interrupt 8—Double Fault Exception (#DF)", the table "Interrupt and
/// Exception Classes".
const fn class(event: Event) -> Class {
    match event {
        Event::Exception { vector, .. } => match vector {
            // #DE, #TS, #NP, #SS, #GP, #CP.
            0 | 10..=13 | 21 => Class::Contributory,
            // #PF, #VE.
            14 | 20 => Class::PageFault,
            8 => Class::DoubleFault,
            _ => Class::Benign,
        },
        _ => Class::Benign,
    }
}

/// What becomes of a fault that came while another event was delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterFault {
    /// The fault is delivered.
    Deliver {
        /// What to inject: the fault, or #DF.
        event: Event,
        /// The event that was cut short, if it must come again afterwards: an interrupt or an NMI
        /// is not lost, whereas an exception or a software interrupt comes again by itself when its
        /// instruction does.
        later: Option<Event>,
    },
    /// The guest met a triple fault: it shuts down.
    Shutdown,
}

/// Decides what becomes of `fault`, which came while `interrupted` was delivered.
///
/// # Source
/// Intel SDM Vol. 3A, "Interrupt 8—Double Fault Exception (#DF)", the table "Conditions for
/// Generating a Double Fault".
#[must_use]
pub const fn after_fault(interrupted: Option<Event>, fault: Event) -> AfterFault {
    let Some(first) = interrupted else {
        return AfterFault::Deliver { event: fault, later: None };
    };
    let double_fault = AfterFault::Deliver { event: Event::DOUBLE_FAULT, later: None };
    match (class(first), class(fault)) {
        (Class::DoubleFault, Class::Contributory | Class::PageFault) => AfterFault::Shutdown,
        (Class::Contributory, Class::Contributory)
        | (Class::PageFault, Class::Contributory | Class::PageFault) => double_fault,
        _ => {
            let later = match first {
                Event::ExternalInterrupt { .. } | Event::Nmi => interrupted,
                _ => None,
            };
            AfterFault::Deliver { event: fault, later }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERRUPT: Event = Event::ExternalInterrupt { vector: 0x30 };

    /// The table of the manual, row by row: benign, contributory, page fault; the columns in the
    /// same order. `=` both one after the other, `D` double fault, `S` shutdown.
    #[test]
    fn faults_during_delivery_follow_the_table() {
        let benign = Event::exception(6);
        let contributory = Event::exception_with(13, 0);
        let page_fault = Event::exception_with(14, 2);
        let rows = [
            (benign, "==="),
            (contributory, "=D="),
            (page_fault, "=DD"),
            (Event::DOUBLE_FAULT, "=SS"),
        ];
        for (first, outcomes) in rows {
            for (second, outcome) in [benign, contributory, page_fault].iter().zip(outcomes.chars())
            {
                let wanted = match outcome {
                    '=' => AfterFault::Deliver { event: *second, later: None },
                    'D' => AfterFault::Deliver { event: Event::DOUBLE_FAULT, later: None },
                    _ => AfterFault::Shutdown,
                };
                assert_eq!(after_fault(Some(first), *second), wanted, "{first:?}, {second:?}");
            }
        }
    }

    #[test]
    fn each_contributory_exception_is_one() {
        for vector in [0, 10, 11, 12, 13, 21] {
            let event = Event::exception(vector);
            let double = AfterFault::Deliver { event: Event::DOUBLE_FAULT, later: None };
            assert_eq!(after_fault(Some(event), Event::GENERAL_PROTECTION), double, "{vector}");
        }
        for vector in [1, 2, 3, 4, 5, 6, 7, 9, 16, 17, 18, 19] {
            let event = Event::exception(vector);
            let fault = Event::GENERAL_PROTECTION;
            let plain = AfterFault::Deliver { event: fault, later: None };
            assert_eq!(after_fault(Some(event), fault), plain, "{vector}");
        }
    }

    #[test]
    fn an_interrupt_whose_delivery_faulted_comes_again() {
        let fault = Event::exception_with(14, 0);
        let wanted = AfterFault::Deliver { event: fault, later: Some(INTERRUPT) };
        assert_eq!(after_fault(Some(INTERRUPT), fault), wanted);
        let wanted = AfterFault::Deliver { event: fault, later: Some(Event::Nmi) };
        assert_eq!(after_fault(Some(Event::Nmi), fault), wanted);
    }

    #[test]
    fn a_software_interrupt_comes_again_by_itself() {
        let first = Event::SoftwareInterrupt { vector: 0x80, length: 2 };
        let wanted = AfterFault::Deliver { event: Event::GENERAL_PROTECTION, later: None };
        assert_eq!(after_fault(Some(first), Event::GENERAL_PROTECTION), wanted);
    }
}
