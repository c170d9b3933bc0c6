//! The common configuration: features, status, and where the queues are.

use guest_state::Gpa;

use super::layout::{self, common};
use super::{Effect, Status, VirtioPci};
use crate::{Device, Features, Queue, QueueSetup};

/// No interrupt of MSI-X, which is not there.
const NO_VECTOR: u16 = 0xFFFF;
/// Features that the transport has, whatever the device.
const TRANSPORT: Features =
    Features::INDIRECT_DESC.union(Features::EVENT_IDX).union(Features::VERSION_1);

impl<D: Device> VirtioPci<D> {
    fn offered(&self) -> Features {
        self.device.features() | TRANSPORT
    }

    fn queue(&self) -> Option<&Queue> {
        self.queues.get(usize::from(self.queue_select))
    }

    pub(super) fn read_common(&self, at: usize, data: &mut [u8]) {
        let mut image = [0; layout::COMMON_BYTES];
        let mut put = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);
        put(common::DEVICE_FEATURE_SELECT, &self.device_feature_select.to_le_bytes());
        put(common::DEVICE_FEATURE, &half(self.offered(), self.device_feature_select));
        put(common::DRIVER_FEATURE_SELECT, &self.driver_feature_select.to_le_bytes());
        put(common::DRIVER_FEATURE, &half(self.features, self.driver_feature_select));
        put(common::CONFIG_MSIX_VECTOR, &NO_VECTOR.to_le_bytes());
        let queues = u16::try_from(self.queues.len()).unwrap_or(0);
        put(common::NUM_QUEUES, &queues.to_le_bytes());
        put(common::DEVICE_STATUS, &[self.shown_status().bits()]);
        // The configurations of devices here never change.
        put(common::CONFIG_GENERATION, &[0]);
        put(common::QUEUE_SELECT, &self.queue_select.to_le_bytes());
        put(common::QUEUE_MSIX_VECTOR, &NO_VECTOR.to_le_bytes());
        // A queue that is not there has size 0.
        if let Some(queue) = self.queue() {
            let QueueSetup { size, descriptors, available, used } = queue.setup();
            // What is no power of two is kept, to be refused, but never shown.
            let shown = if size.is_power_of_two() { size } else { 0 };
            put(common::QUEUE_SIZE, &shown.to_le_bytes());
            put(common::QUEUE_ENABLE, &u16::from(queue.is_enabled()).to_le_bytes());
            put(common::QUEUE_NOTIFY_OFF, &self.queue_select.to_le_bytes());
            put(common::QUEUE_DESC, &descriptors.as_u64().to_le_bytes());
            put(common::QUEUE_DRIVER, &available.as_u64().to_le_bytes());
            put(common::QUEUE_DEVICE, &used.as_u64().to_le_bytes());
        }
        for (byte, register) in data.iter_mut().zip(image.iter().skip(at)) {
            *byte = *register;
        }
    }

    /// After a reset a driver waits until it reads zero: not before all requests are completed.
    fn shown_status(&self) -> Status {
        if self.status.is_empty() && self.in_flight > 0 { Status::NEEDS_RESET } else { self.status }
    }

    /// Writes a register. Accesses of another width than the register's are dropped, but for halves
    /// of addresses.
    pub(super) fn write_common(&mut self, at: usize, data: &[u8]) -> Effect {
        match (at, data) {
            (common::DEVICE_FEATURE_SELECT, &[a, b, c, d]) => {
                self.device_feature_select = u32::from_le_bytes([a, b, c, d]);
            }
            (common::DRIVER_FEATURE_SELECT, &[a, b, c, d]) => {
                self.driver_feature_select = u32::from_le_bytes([a, b, c, d]);
            }
            (common::DRIVER_FEATURE, &[a, b, c, d]) => {
                self.accept(u32::from_le_bytes([a, b, c, d]));
            }
            (common::DEVICE_STATUS, &[value]) => return self.write_status(value),
            (common::QUEUE_SELECT, &[a, b]) => self.queue_select = u16::from_le_bytes([a, b]),
            (common::QUEUE_SIZE, &[a, b]) => {
                self.set_up(|setup| setup.size = u16::from_le_bytes([a, b]));
            }
            (common::QUEUE_ENABLE, &[1, 0]) => self.enable_queue(),
            (common::QUEUE_DESC.., data) => self.write_address(at, data),
            _ => {}
        }
        Effect::None
    }

    /// Takes half of the features that a driver accepts. Once both agreed it can't change its mind.
    fn accept(&mut self, value: u32) {
        if self.status.contains(Status::FEATURES_OK) {
            return;
        }
        let (value, kept) = match self.driver_feature_select {
            0 => (u64::from(value), self.features.bits() & !0xFFFF_FFFF),
            1 => (u64::from(value) << 32, self.features.bits() & 0xFFFF_FFFF),
            _ => return,
        };
        self.features = Features::from_bits_retain(kept | value);
    }

    /// Takes the driver's next step; a step that can't be made leaves its bit clear.
    fn write_status(&mut self, value: u8) -> Effect {
        if value == 0 {
            self.reset_device();
            return Effect::None;
        }
        let before = self.status;
        let mut wanted = Status::from_bits_truncate(value) - Status::NEEDS_RESET;
        let agrees =
            self.offered().contains(self.features) && self.features.contains(Features::VERSION_1);
        if !before.contains(Status::FEATURES_OK) && !agrees {
            wanted -= Status::FEATURES_OK;
        }
        // A driver only ever adds bits.
        self.status |= wanted;
        if !self.status.contains(Status::FEATURES_OK) {
            self.status -= Status::DRIVER_OK;
        }
        let starts = self.status.contains(Status::DRIVER_OK) && !before.contains(Status::DRIVER_OK);
        if starts { Effect::Requests } else { Effect::None }
    }

    fn set_up(&mut self, change: impl FnOnce(&mut QueueSetup)) {
        if let Some(queue) = self.queues.get_mut(usize::from(self.queue_select)) {
            let mut setup = queue.setup();
            change(&mut setup);
            queue.set_up(setup);
        }
    }

    fn enable_queue(&mut self) {
        let features = self.features;
        let is_ready = self.status.contains(Status::FEATURES_OK);
        let Some(queue) = self.queues.get_mut(usize::from(self.queue_select)) else { return };
        // Which features count is not known before.
        if is_ready
            && !queue.is_enabled()
            && let Err(error) = queue.enable(features)
        {
            self.fail(error);
        }
    }

    /// Writes an address of the selected queue, or half of one.
    fn write_address(&mut self, at: usize, data: &[u8]) {
        let (register, within) = (at & !7, at & 7);
        if !matches!((within, data.len()), (0, 8) | (0 | 4, 4)) {
            return;
        }
        self.set_up(|setup| {
            let field = match register {
                common::QUEUE_DESC => &mut setup.descriptors,
                common::QUEUE_DRIVER => &mut setup.available,
                _ => &mut setup.used,
            };
            let mut bytes = field.as_u64().to_le_bytes();
            bytes[within..within + data.len()].copy_from_slice(data);
            *field = Gpa::new(u64::from_le_bytes(bytes));
        });
    }
}

/// Returns half `select` of the features; there are two.
fn half(features: Features, select: u32) -> [u8; 4] {
    let [a, b, c, d, e, f, g, h] = features.bits().to_le_bytes();
    match select {
        0 => [a, b, c, d],
        1 => [e, f, g, h],
        _ => [0; 4],
    }
}
