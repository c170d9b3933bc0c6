//! Images that Debian has released.

use sha2::{Digest, Sha256};

/// An image that Debian has released.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Release {
    /// The Debian release.
    pub suite: &'static str,
    /// The package.
    pub package: &'static str,
    /// Its version.
    pub version: &'static str,
    /// The file, below the root folder.
    pub file: &'static str,
    /// The main licence of the firmware, as SPDX names it; the package's copyright file has all.
    pub licence: &'static str,
    /// The SHA-256 of the file.
    pub sha256: [u8; 32],
}

/// Finds the release that an image is, bit for bit.
#[must_use]
pub fn release(image: &[u8]) -> Option<&'static Release> {
    let found: [u8; 32] = Sha256::digest(image).into();
    RELEASES.iter().find(|release| release.sha256 == found)
}

/// Reads 64 hexadecimal digits.
const fn sha256(digits: &[u8; 64]) -> [u8; 32] {
    #[allow(clippy::panic, reason = "only the compiler can meet it")]
    const fn value(digit: u8) -> u8 {
        match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => panic!("no hexadecimal digit"),
        }
    }
    let mut bytes = [0; 32];
    let mut at = 0;
    while at < 32 {
        bytes[at] = value(digits[2 * at]) << 4 | value(digits[2 * at + 1]);
        at += 1;
    }
    bytes
}

macro_rules! releases {
    ($($suite:literal $package:literal $version:literal $licence:literal {
        $($file:literal $digits:literal)+
    })+) => {
        /// All that are known, from `sha256sum` over the packages.
        pub static RELEASES: &[Release] = &[$($(Release {
            suite: $suite,
            package: $package,
            version: $version,
            file: $file,
            licence: $licence,
            sha256: sha256($digits),
        },)+)+];
    };
}

releases! {
    "Debian 12" "seabios" "1.16.2-1" "LGPL-3.0-only" {
        "usr/share/seabios/bios-256k.bin"
            b"2da2018c7555e50b660a84a273a14a79cb87b9070fe6a90e9f151a53e357f7e6"
        "usr/share/seabios/bios-microvm.bin"
            b"8a57c67a8e698158ccf46cba89ccd965b025006f0e603816947b4efa8696282a"
        "usr/share/seabios/bios.bin"
            b"7ba476745bd8d32d66b7a5bd12999e2445e7a345a4a72c30352b1d4a69a26e88"
    }
    "Debian 12" "ovmf" "2022.11-6+deb12u2" "BSD-2-Clause-Patent" {
        "usr/share/OVMF/OVMF_CODE.fd"
            b"d9b568def24088c92f34b5479e0ed7e44d0a4d4cea8a0f5716719180bba48106"
        "usr/share/OVMF/OVMF_CODE.secboot.fd"
            b"6ee6a5db7a1443d17594f1e00e3cf2a2250bc1c95c8f9101bc49c9977ce11a68"
        "usr/share/OVMF/OVMF_CODE_4M.fd"
            b"b157d97b1f69729514feb7f201d2cbe4957f23ab77920e361fe9f822ba49ca4c"
        "usr/share/OVMF/OVMF_CODE_4M.secboot.fd"
            b"d50189a486d22af418198226a3a5bcb6ddac775590f6a808bd629474ee034d62"
        "usr/share/OVMF/OVMF_VARS.fd"
            b"6ed987af3a3c155be71665f510eae3e007eda9b8b94afd59d45e91c4a11565cc"
        "usr/share/OVMF/OVMF_VARS.ms.fd"
            b"13af965841a14cb19f5c3f15a73beb5c7fa82caac7216275122d1c763aac5eb1"
        "usr/share/OVMF/OVMF_VARS_4M.fd"
            b"5d2ac383371b408398accee7ec27c8c09ea5b74a0de0ceea6513388b15be5d1e"
        "usr/share/OVMF/OVMF_VARS_4M.ms.fd"
            b"e6044c5d1fd81998a5967d907ec425e48da534832c7d9b0b4c7a702b62019c50"
        "usr/share/OVMF/OVMF_VARS_4M.snakeoil.fd"
            b"4460f43fb13d627f5b31e3457d08d4315e41ef4666d06808a4f981f6ee1e91bd"
        "usr/share/ovmf/OVMF.fd"
            b"7b456907dd0786d415999e801a1ac4637b8ed4d7cf5378cfc6edbe5e574dd773"
    }
    "Debian 13" "seabios" "1.16.3-2" "LGPL-3.0-only" {
        "usr/share/seabios/bios-256k.bin"
            b"fc6d2ea888862e6b26d53fb877ab712324726eb8f44eb6baf076c64a31f1c3fb"
        "usr/share/seabios/bios-microvm.bin"
            b"6661cbd67718d1604ec319fe37c169051592baff63fecf3c05edbb6562b2aad0"
        "usr/share/seabios/bios.bin"
            b"4ee65f3d02c5e37c3c358618334de65c5b161fac6504aaacd39675eb4ecb80ca"
    }
    "Debian 13" "ovmf" "2025.02-8+deb13u1" "BSD-2-Clause-Patent" {
        "usr/share/OVMF/OVMF_CODE_4M.fd"
            b"624e06de18b4fa535e90db7160d00d3d07d206422b89999bf1e27d920264e4e0"
        "usr/share/OVMF/OVMF_CODE_4M.secboot.fd"
            b"1a46295574430cfb7f825ee3e4dc64b052acbef08e310377ed7c64cb757a9dc1"
        "usr/share/OVMF/OVMF_CODE_4M.secboot.strictnx.fd"
            b"9ee9f2382e0c6aa95c87fed4131f9c1080a084d8ef7bff3d8b89147bf2a34b1b"
        "usr/share/OVMF/OVMF_VARS_4M.ms.fd"
            b"0d12f9839018a68f4b13c9819cbf607b8b62d566f9c9dd7966550d93335f06b2"
        "usr/share/OVMF/OVMF_VARS_4M.snakeoil.fd"
            b"e875a265aabb3fa97d34583ed3ab70a898062dbde42e374c42d37686e90be8d4"
        "usr/share/ovmf/OVMF.fd"
            b"14954040cc754ade0c625ac3470ea46d4c14318b5b1396de4ef77090203d76db"
    }
    "Debian 13" "bochsbios" "3.0+dfsg-1" "LGPL-2.1-or-later" {
        "usr/share/bochs/BIOS-bochs-latest"
            b"a40f2454f2a09374425482b09bf01c8e87aeedc48ee443c67e9f89d882201f27"
        "usr/share/bochs/BIOS-bochs-legacy"
            b"6d863ad7dfd314a6e9c8145e72a4fe18d0e8f16a0d4688ccf6f4ef8eb13d280c"
        "usr/share/bochs/BIOS-qemu-latest"
            b"0afbf8535af9aa073211cfc82c18cce29d6e4f710840615984965603eddbfe43"
    }
    "Debian 13" "qemu-system-data" "1:10.0.13+ds-0+deb13u1" "GPL-2.0-only" {
        "usr/share/qemu/qboot.rom"
            b"5c9c4b12c4438e3cf11d087263afe6519c8c05dd5896727b8b169b8f5dbf9877"
    }
}
