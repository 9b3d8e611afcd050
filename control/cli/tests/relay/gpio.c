/*
 * Stands in for the kernel's GPIO character device where a kernel has none: any open file is a chip. Answers two requests of
 * linux/gpio.h and notes them in $RELAY_LOG, one line each: "request LINE active-high|active-low VALUE CONSUMER", "set LINE VALUE".
 * Loaded by LD_PRELOAD; all else goes to the kernel.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/gpio.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

static unsigned int line_of[1024];

static void note(const char *text)
{
	const int log = open(getenv("RELAY_LOG"), O_WRONLY | O_APPEND | O_CREAT, 0600);

	dprintf(log, "%s\n", text);
	close(log);
}

int ioctl(int file, unsigned long request, ...)
{
	char text[160];
	va_list arguments;

	va_start(arguments, request);
	void *const argument = va_arg(arguments, void *);
	va_end(arguments);
	if (request == GPIO_V2_GET_LINE_IOCTL) {
		struct gpio_v2_line_request *const asked = argument;
		const struct gpio_v2_line_config_attribute *const first = &asked->config.attrs[0];

		if (asked->num_lines != 1 || !(asked->config.flags & GPIO_V2_LINE_FLAG_OUTPUT) ||
		    asked->config.num_attrs != 1 || first->mask != 1 ||
		    first->attr.id != GPIO_V2_LINE_ATTR_ID_OUTPUT_VALUES) {
			errno = EINVAL;
			return -1;
		}
		asked->fd = open("/dev/null", O_RDWR);
		line_of[asked->fd] = asked->offsets[0];
		snprintf(text, sizeof(text), "request %u %s %d %s", asked->offsets[0],
			 asked->config.flags & GPIO_V2_LINE_FLAG_ACTIVE_LOW ? "active-low" : "active-high",
			 (int)(first->attr.values & 1), asked->consumer);
		note(text);
		return 0;
	}
	if (request == GPIO_V2_LINE_SET_VALUES_IOCTL) {
		const struct gpio_v2_line_values *const values = argument;

		snprintf(text, sizeof(text), "set %u %d", line_of[file], (int)(values->bits & values->mask & 1));
		note(text);
		return 0;
	}
	int (*const kernel)(int, unsigned long, void *) =
		(int (*)(int, unsigned long, void *))dlsym(RTLD_NEXT, "ioctl");

	return kernel(file, request, argument);
}
