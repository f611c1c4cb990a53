// SPDX-License-Identifier: GPL-2.0-only
/*
 * Messages. They quote paths, options and names of files, which anybody may have chosen. A byte
 * that is no printable ASCII is shown as \ooo: so nobody writes a line of their own into the
 * kernel's log, or to the terminal of its reader.
 */
#undef pr_fmt
#define pr_fmt(fmt) "aufs: " fmt

#include "kernel/linux.h"
#include <linux/string_helpers.h>
#include "kernel/generated/declared.h"
#include "kernel/api.h"

/* The message, printable; null without memory. Sleeps; the caller frees it. */
static char *printable(const char *format, va_list args)
{
	char *text = kvasprintf(GFP_KERNEL, format, args);
	size_t size = text ? strlen(text) : 0;
	char *shown = text ? kmalloc(4 * size + 1, GFP_KERNEL) : NULL;

	/* It fits: no byte becomes more than four. */
	if (shown)
		shown[string_escape_mem(text, size, shown, 4 * size, ESCAPE_NAP | ESCAPE_OCTAL,
					NULL)] = '\0';
	kfree(text);
	return shown;
}

static const char *or_none(const char *text)
{
	return text ?: "there is no memory for a message";
}

/*
 * Says it in the context's log, if there is one, and in the kernel's if the caller could mount. A
 * flood of messages is cut there.
 */
static void say_printable(struct fs_context *fc, char level, const char *text)
{
	static DEFINE_RATELIMIT_STATE(limit, DEFAULT_RATELIMIT_INTERVAL, 100);
	bool logged = aufs_may_mount() && __ratelimit(&limit);

	switch (level) {
	case 'e':
		if (logged)
			pr_err("%s\n", text);
		if (fc && fc->log.log)
			errorf(fc, "aufs: %s", text);
		break;
	case 'w':
		if (logged)
			pr_warn("%s\n", text);
		if (fc && fc->log.log)
			warnf(fc, "aufs: %s", text);
		break;
	default:
		if (logged)
			pr_info("%s\n", text);
		if (fc && fc->log.log)
			infof(fc, "aufs: %s", text);
	}
}

static void tell_mounter(struct fs_context *fc, char level, const char *format, va_list args)
{
	char *text = printable(format, args);

	say_printable(fc, level, or_none(text));
	kfree(text);
}

void aufs_errorf(struct fs_context *fc, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	tell_mounter(fc, 'e', format, args);
	va_end(args);
}

/* As mount_capable(), which the VFS asks only after the options have been read. */
bool aufs_may_mount(void)
{
	return ns_capable_noaudit(&init_user_ns, CAP_SYS_ADMIN);
}

/* A line in the kernel's log; a flood of lines is cut. */
void aufs_warn(const char *format, ...)
{
	static DEFINE_RATELIMIT_STATE(limit, DEFAULT_RATELIMIT_INTERVAL, DEFAULT_RATELIMIT_BURST);
	va_list args;
	char *text;

	if (!__ratelimit(&limit))
		return;
	va_start(args, format);
	text = printable(format, args);
	va_end(args);
	pr_warn("%s\n", or_none(text));
	kfree(text);
}

/* A message that is no error, but that the mounter should know. */
void aufs_warnf(struct fs_context *fc, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	tell_mounter(fc, 'w', format, args);
	va_end(args);
}

/* A message about something that is as it should be, and that the mounter may want to know. */
void aufs_infof(struct fs_context *fc, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	tell_mounter(fc, 'i', format, args);
	va_end(args);
}
