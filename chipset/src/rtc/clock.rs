//! The clock's registers as the guest reads and writes them.

use super::Rtc;
use super::calendar::{DateTime, SECONDS_PER_DAY, SECONDS_TO_EPOCH, weekday};

/// How numbers are written in the registers, as register B says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Encoding {
    pub(super) binary: bool,
    pub(super) hours_24: bool,
}

impl Encoding {
    const AFTERNOON: u8 = 1 << 7;

    /// Writes a number below 100.
    const fn encode(self, number: u64) -> u8 {
        let number = (number % 100).to_le_bytes()[0];
        if self.binary { number } else { ((number / 10) << 4) | (number % 10) }
    }

    const fn decode(self, register: u8) -> u64 {
        let number = if self.binary { register } else { (register >> 4) * 10 + (register & 0xF) };
        number as u64
    }

    const fn encode_hour(self, hour: u64) -> u8 {
        if self.hours_24 {
            return self.encode(hour);
        }
        let afternoon = if hour < 12 { 0 } else { Self::AFTERNOON };
        let on_the_dial = match hour % 12 {
            0 => 12,
            hour => hour,
        };
        self.encode(on_the_dial) | afternoon
    }

    const fn decode_hour(self, register: u8) -> u64 {
        if self.hours_24 {
            return self.decode(register);
        }
        let afternoon = if register & Self::AFTERNOON == 0 { 0 } else { 12 };
        match self.decode(register & !Self::AFTERNOON) {
            12 => afternoon,
            hour => hour + afternoon,
        }
    }
}

/// Time, date and alarm, as written: changing the encoding does not rewrite them.
#[derive(Clone, Debug)]
pub(super) struct Registers {
    second: u8,
    second_alarm: u8,
    minute: u8,
    minute_alarm: u8,
    hour: u8,
    hour_alarm: u8,
    weekday: u8,
    day: u8,
    month: u8,
    year: u8,
    century: u8,
}

impl Registers {
    pub(super) const fn new(epoch_seconds: u64, encoding: Encoding) -> Self {
        let seconds = epoch_seconds.saturating_add(SECONDS_TO_EPOCH);
        let mut registers = Self {
            second: 0,
            second_alarm: 0,
            minute: 0,
            minute_alarm: 0,
            hour: 0,
            hour_alarm: 0,
            weekday: weekday(seconds).to_le_bytes()[0],
            day: 0,
            month: 0,
            year: 0,
            century: 0,
        };
        registers.show(DateTime::from_seconds(seconds), encoding);
        registers
    }

    /// The register of this number, if it is the clock's and plain.
    pub(super) const fn register(&mut self, index: u8) -> Option<&mut u8> {
        Some(match index {
            0x00 => &mut self.second,
            0x01 => &mut self.second_alarm,
            0x02 => &mut self.minute,
            0x03 => &mut self.minute_alarm,
            0x04 => &mut self.hour,
            0x05 => &mut self.hour_alarm,
            0x06 => &mut self.weekday,
            0x07 => &mut self.day,
            0x08 => &mut self.month,
            0x09 => &mut self.year,
            Rtc::CENTURY => &mut self.century,
            _ => return None,
        })
    }

    pub(super) fn add_seconds(&mut self, seconds: u64, encoding: Encoding) {
        let before = self.shown(encoding).to_seconds();
        let after = before.saturating_add(seconds);
        let days = after / SECONDS_PER_DAY - before / SECONDS_PER_DAY;
        // The day of the week is counted on from whatever the guest calls today.
        let weekday = (u64::from(self.weekday) + 6 + days) % 7 + 1;
        self.weekday = weekday.to_le_bytes()[0];
        self.show(DateTime::from_seconds(after), encoding);
    }

    /// In how many seconds, 1 to 86,400, the alarm comes; `None` if it never does.
    pub(super) fn seconds_to_alarm(&self, encoding: Encoding) -> Option<u64> {
        let alarm = Alarm {
            hour: wanted(self.hour_alarm, encoding.decode_hour(self.hour_alarm)),
            minute: wanted(self.minute_alarm, encoding.decode(self.minute_alarm)),
            second: wanted(self.second_alarm, encoding.decode(self.second_alarm)),
        };
        let now = self.shown(encoding).to_seconds() % SECONDS_PER_DAY;
        let next =
            alarm.first_from(now + 1).or_else(|| Some(alarm.first_from(0)? + SECONDS_PER_DAY))?;
        Some(next - now)
    }

    const fn show(&mut self, time: DateTime, encoding: Encoding) {
        self.second = encoding.encode(time.second);
        self.minute = encoding.encode(time.minute);
        self.hour = encoding.encode_hour(time.hour);
        self.day = encoding.encode(time.day);
        self.month = encoding.encode(time.month);
        self.year = encoding.encode(time.year);
        self.century = encoding.encode(time.year / 100);
    }

    /// What the registers show. Numbers that are no time or date become the nearest that is.
    fn shown(&self, encoding: Encoding) -> DateTime {
        let century = encoding.decode(self.century).min(99);
        DateTime {
            year: century * 100 + encoding.decode(self.year).min(99),
            month: encoding.decode(self.month).clamp(1, 12),
            day: encoding.decode(self.day).clamp(1, 31),
            hour: encoding.decode_hour(self.hour).min(23),
            minute: encoding.decode(self.minute).min(59),
            second: encoding.decode(self.second).min(59),
        }
    }
}

/// What an alarm register asks for; with its two upper bits set, anything.
const fn wanted(register: u8, decoded: u64) -> Option<u64> {
    if register >= 0xC0 { None } else { Some(decoded) }
}

/// A time of day of which any part may be left open.
struct Alarm {
    hour: Option<u64>,
    minute: Option<u64>,
    second: Option<u64>,
}

impl Alarm {
    /// The first alarm of the day that is not before this second of the day.
    fn first_from(&self, from: u64) -> Option<u64> {
        let (hour, minute, second) = (from / 3_600, from / 60 % 60, from % 60);
        // The alarm within this minute, or else the first of a later minute of this hour, or else
        // the first of a later hour.
        let same_hour = first(self.hour, hour, 24).filter(|&found| found == hour);
        let same_minute =
            first(self.minute, minute, 60).filter(|&found| same_hour.is_some() && found == minute);
        let within_minute = || {
            let second = same_minute.and_then(|_| first(self.second, second, 60))?;
            Some((hour, minute, second))
        };
        let within_hour = || {
            let minute = same_hour.and_then(|_| first(self.minute, minute + 1, 60))?;
            Some((hour, minute, first(self.second, 0, 60)?))
        };
        let later = || {
            let hour = first(self.hour, hour + 1, 24)?;
            Some((hour, first(self.minute, 0, 60)?, first(self.second, 0, 60)?))
        };
        let (hour, minute, second) = within_minute().or_else(within_hour).or_else(later)?;
        Some(hour * 3_600 + minute * 60 + second)
    }
}

/// The first number in `from..limit` that is wanted.
fn first(wanted: Option<u64>, from: u64, limit: u64) -> Option<u64> {
    let number = wanted.unwrap_or(from);
    (from..limit).contains(&number).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn part(limit: u64) -> impl Strategy<Value = Option<u64>> {
        prop_oneof![Just(None), (0..limit + 3).prop_map(Some)]
    }

    proptest! {
        #[test]
        fn the_next_alarm_is_the_one_found_by_looking_at_every_second(
            hour in part(24), minute in part(60), second in part(60), from in 0..SECONDS_PER_DAY,
        ) {
            let rings = |time: u64| {
                hour.is_none_or(|hour| hour == time / 3_600)
                    && minute.is_none_or(|minute| minute == time / 60 % 60)
                    && second.is_none_or(|second| second == time % 60)
            };
            let expected = (from..SECONDS_PER_DAY).find(|&time| rings(time));
            prop_assert_eq!(Alarm { hour, minute, second }.first_from(from), expected);
        }

        #[test]
        fn hours_survive_every_encoding(hour in 0u64..24, binary: bool, hours_24: bool) {
            let encoding = Encoding { binary, hours_24 };
            prop_assert_eq!(encoding.decode_hour(encoding.encode_hour(hour)), hour);
        }
    }
}
