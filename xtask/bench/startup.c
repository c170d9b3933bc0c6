/*
 * The least that starts a PVH guest on KVM: the peer that kvm-vmm's start is measured against.
 *
 * It makes the same ioctls in the same order for one CPU and 128 MiB: split interrupt controller,
 * CPUID, 32-bit registers, memory. The guest's code comes as the file that kvm-vmm gets too. Like
 * kvm-vmm it ends by the debug exit port, and says on standard error how much memory it took.
 */
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define MEMORY (128UL << 20)
#define CODE 0x100000UL
#define CODE_OFFSET 0x1000 /* of the guest's code in its file */
#define MOST_CPUID 256

static int must(int result, const char *what)
{
	if (result < 0) {
		perror(what);
		exit(69);
	}
	return result;
}

static struct kvm_segment flat(unsigned selector, unsigned type)
{
	return (struct kvm_segment){ .selector = selector, .limit = 0xFFFFFFFF, .type = type,
		.present = 1, .db = 1, .s = 1, .g = 1 };
}

static void set_slot(int vm, unsigned slot, char *memory, unsigned long from, unsigned long to)
{
	struct kvm_userspace_memory_region region = { .slot = slot, .guest_phys_addr = from,
		.memory_size = to - from, .userspace_addr = (unsigned long)memory + from };
	must(ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region), "memory");
}

static void say_peak_memory(void)
{
	char line[256];
	FILE *status = fopen("/proc/self/status", "r");
	while (status && fgets(line, sizeof line, status))
		if (!strncmp(line, "VmHWM:", 6))
			fprintf(stderr, "%d\n", atoi(line + 6));
}

int main(int argc, char **argv)
{
	int kvm = must(open("/dev/kvm", O_RDWR | O_CLOEXEC), "/dev/kvm");
	must(ioctl(kvm, KVM_GET_API_VERSION, 0), "version");
	must(ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_SPLIT_IRQCHIP), "extension");
	must(ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_IMMEDIATE_EXIT), "extension");
	struct kvm_cpuid2 *cpuid = calloc(1, sizeof *cpuid + MOST_CPUID * sizeof cpuid->entries[0]);
	cpuid->nent = MOST_CPUID;
	must(ioctl(kvm, KVM_GET_SUPPORTED_CPUID, cpuid), "supported CPUID");

	char *memory = mmap(0, MEMORY, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	int file = must(open(argc > 1 ? argv[1] : "", O_RDONLY | O_CLOEXEC), "guest");
	must(pread(file, memory + CODE, 0x1000, CODE_OFFSET), "guest");

	int vm = must(ioctl(kvm, KVM_CREATE_VM, 0), "VM");
	int size = must(ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), "size");
	unsigned long identity_map = 0xFEFFC000;
	must(ioctl(vm, KVM_SET_IDENTITY_MAP_ADDR, &identity_map), "identity map");
	must(ioctl(vm, KVM_SET_TSS_ADDR, 0xFEFFD000), "TSS");
	struct kvm_enable_cap split = { .cap = KVM_CAP_SPLIT_IRQCHIP, .args = { 24 } };
	must(ioctl(vm, KVM_ENABLE_CAP, &split), "split");
	int cpu = must(ioctl(vm, KVM_CREATE_VCPU, 0), "CPU");
	struct kvm_run *run = mmap(0, size, PROT_READ | PROT_WRITE, MAP_SHARED, cpu, 0);
	must(ioctl(cpu, KVM_SET_CPUID2, cpuid), "CPUID");

	struct kvm_sregs sregs;
	must(ioctl(cpu, KVM_GET_SREGS, &sregs), "sregs");
	sregs.cs = flat(0x10, 11);
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = flat(0x18, 3);
	sregs.cr0 = 0x11;
	must(ioctl(cpu, KVM_SET_SREGS, &sregs), "sregs");
	struct kvm_regs regs = { .rip = CODE, .rflags = 2 };
	must(ioctl(cpu, KVM_SET_REGS, &regs), "regs");
	set_slot(vm, 0, memory, 0, 0xA0000);
	set_slot(vm, 1, memory, 0xC0000, MEMORY);

	for (;;) {
		must(ioctl(cpu, KVM_RUN, 0), "run");
		if (run->exit_reason != KVM_EXIT_IO)
			return 70;
		unsigned char *data = (unsigned char *)run + run->io.data_offset;
		if (run->io.port == 0x3F8)
			must(write(1, data, 1), "write");
		if (run->io.port == 0xF4) {
			say_peak_memory();
			return *data << 1 | 1;
		}
	}
}
