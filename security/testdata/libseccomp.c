/* Prints the program that libseccomp makes of the rules on standard input:
 *   default ACTION | arch TOKEN | rule ACTION NAME COUNT (INDEX OP A B)...
 */
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(void)
{
	scmp_filter_ctx ctx = NULL;
	char word[64], name[128];
	unsigned action, token;
	while (scanf("%63s", word) == 1) {
		if (!strcmp(word, "default")) {
			if (scanf("%u", &action) != 1 || !(ctx = seccomp_init(action)))
				return 1;
		} else if (!strcmp(word, "arch")) {
			int r;
			if (scanf("%u", &token) != 1)
				return 2;
			r = seccomp_arch_add(ctx, token);
			if (r && r != -17)
				return 3;
		} else {
			struct scmp_arg_cmp cmp[6];
			int n, i, nr, r;
			if (scanf("%u %127s %d", &action, name, &n) != 3 || n > 6)
				return 4;
			for (i = 0; i < n; i++) {
				unsigned index, op;
				unsigned long long a, b;
				if (scanf("%u %u %llu %llu", &index, &op, &a, &b) != 4)
					return 5;
				cmp[i] = (struct scmp_arg_cmp){index, op, a, b};
			}
			nr = seccomp_syscall_resolve_name(name);
			if (nr == __NR_SCMP_ERROR)
				continue;
			r = seccomp_rule_add_array(ctx, action, nr, n, cmp);
			if (r) {
				fprintf(stderr, "rule %s: %s\n", name, strerror(-r));
				return 6;
			}
		}
	}
	return seccomp_export_bpf(ctx, 1) ? 7 : 0;
}
