//! The civil calendar.

pub(super) const SECONDS_PER_DAY: u64 = 86_400;

/// A date and time of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DateTime {
    pub(super) year: u64,
    /// 1 to 12.
    pub(super) month: u64,
    /// 1 to 31.
    pub(super) day: u64,
    pub(super) hour: u64,
    pub(super) minute: u64,
    pub(super) second: u64,
}

/// Years are counted from 1 March, so that the leap day is the last of its year, and in eras of 400
/// years, after which the calendar repeats.
const DAYS_PER_ERA: u64 = 146_097;
/// From 1 March of the year 0, where time is counted from, to 1 January 1970.
pub(super) const SECONDS_TO_EPOCH: u64 = 719_468 * SECONDS_PER_DAY;

impl DateTime {
    /// The moment this many seconds after the start of 1 March of the year 0.
    pub(super) const fn from_seconds(seconds: u64) -> Self {
        let days = seconds / SECONDS_PER_DAY;
        let time = seconds % SECONDS_PER_DAY;
        let day_of_era = days % DAYS_PER_ERA;
        // An era's last day, its 29 February, would otherwise make a fifth century, and so on.
        let leap_days = day_of_era / 1_460 - day_of_era / 36_524 + day_of_era / 146_096;
        let year_of_era = (day_of_era - leap_days) / 365;
        let day_of_year = day_of_era - days_before_year(year_of_era);
        // Months from March have 153 days in five.
        let month_from_march = (5 * day_of_year + 2) / 153;
        let (month, next_year) = match month_from_march {
            10.. => (month_from_march - 9, 1),
            _ => (month_from_march + 3, 0),
        };
        Self {
            year: days / DAYS_PER_ERA * 400 + year_of_era + next_year,
            month,
            day: day_of_year - days_before_month(month_from_march) + 1,
            hour: time / 3_600,
            minute: time / 60 % 60,
            second: time % 60,
        }
    }

    /// Seconds since the start of 1 March of the year 0.
    ///
    /// Days past a month's end are days of the next month.
    pub(super) const fn to_seconds(self) -> u64 {
        let (year, month_from_march) = match self.month {
            ..3 => (self.year.saturating_sub(1), self.month + 9),
            _ => (self.year, self.month - 3),
        };
        let days = year / 400 * DAYS_PER_ERA
            + days_before_year(year % 400)
            + days_before_month(month_from_march)
            + self.day.saturating_sub(1);
        let time = self.hour * 3_600 + self.minute * 60 + self.second;
        days * SECONDS_PER_DAY + time
    }
}

const fn days_before_year(year_of_era: u64) -> u64 {
    365 * year_of_era + year_of_era / 4 - year_of_era / 100
}

const fn days_before_month(month_from_march: u64) -> u64 {
    (153 * month_from_march + 2) / 5
}

/// The day of the week, 1 for a Sunday to 7 for a Saturday.
pub(super) const fn weekday(seconds: u64) -> u64 {
    // 1 March of the year 0 was a Wednesday.
    (seconds / SECONDS_PER_DAY + 3) % 7 + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Walks the calendar day by day, by the rules as a person knows them.
    #[test]
    fn days_follow_each_other_as_in_a_calendar() {
        let (mut year, mut month, mut day) = (1970, 1, 1);
        for days in 0..200_000 {
            let seconds = SECONDS_TO_EPOCH + days * SECONDS_PER_DAY + 86_399;
            let date = DateTime::from_seconds(seconds);
            assert_eq!((date.year, date.month, date.day), (year, month, day));
            assert_eq!((date.hour, date.minute, date.second), (23, 59, 59));
            assert_eq!(date.to_seconds(), seconds);
            assert_eq!(weekday(seconds), (days + 4) % 7 + 1); // 1970 began on a Thursday

            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let length = match month {
                2 if leap => 29,
                2 => 28,
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            day += 1;
            if day > length {
                (month, day) = (month + 1, 1);
            }
            if month > 12 {
                (year, month) = (year + 1, 1);
            }
        }
        assert!(year > 2_500);
    }
}
