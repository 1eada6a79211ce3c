/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/config/multicast.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/config/address.h"
#include "lib/wire/subject.h"

#define TEXT_BYTES_MAX 256u

/* True for a range of groups that routers and hosts leave to applications: not 224.0.0.0/24 (RFC
 * 5771 §4), and no IPv6 scope below the link (RFC 4291 §2.7). */
static bool is_of_groups(const struct mr_config_network *n)
{
	const uint8_t *a = n->address;

	if (mr_config_network_is_ipv4(n))
		return n->prefix_bits >= 96 + 4 && a[12] >= 224 && a[12] < 240 &&
		       (a[12] != 224 || a[13] != 0 || a[14] != 0);
	return n->prefix_bits >= 16 && a[0] == 0xff && (a[1] & 0xf) >= 2;
}

static bool has_host_bits(const struct mr_config_network *n)
{
	for (unsigned bit = n->prefix_bits; bit < 128; bit++)
		if (n->address[bit / 8] >> (7 - bit % 8) & 1)
			return true;
	return false;
}

static bool set_range(struct mr_config_multicast *m, const char *text)
{
	return mr_config_network_parse(text, &m->range) == 0 && is_of_groups(&m->range) &&
	       !has_host_bits(&m->range);
}

static bool set_prefix(struct mr_config_multicast *m, const char *text)
{
	size_t bytes = strlen(text);

	if (bytes >= sizeof(m->prefix) || strpbrk(text, "*>") != NULL ||
		mr_prefix_parse(text, bytes) != MR_SUBJECT_OK)
		return false;
	memcpy(m->prefix, text, bytes + 1);
	return true;
}

static bool set_hops(struct mr_config_multicast *m, const char *text)
{
	unsigned hops;
	int used = 0;

	if (sscanf(text, "%3u%n", &hops, &used) != 1 || text[used] != '\0' || hops < 1 ||
		hops > 255)
		return false;
	m->hops = (uint8_t)hops;
	return true;
}

static bool set_item(struct mr_config_multicast *m, const char *item, unsigned number)
{
	if (number == 0)
		return set_range(m, item);
	if (strncmp(item, "prefix=", 7) == 0)
		return set_prefix(m, item + 7);
	return strncmp(item, "hops=", 5) == 0 && set_hops(m, item + 5);
}

int mr_config_multicast_parse(
	const char *text, struct mr_config_multicast *out, struct mr_config_fault *f)
{
	char copy[TEXT_BYTES_MAX], *rest = copy, *item;
	size_t bytes = strlen(text);
	unsigned number = 0;
	bool good = bytes < sizeof(copy);

	*out = (struct mr_config_multicast){.hops = 1};
	memcpy(copy, text, good ? bytes + 1 : 1);
	while (good && (item = strsep(&rest, ",")) != NULL)
		good = set_item(out, item, number++);
	if (good)
		return 0;
	mr_config_printable(f->found, sizeof(f->found), text, bytes);
	snprintf(f->expected, sizeof(f->expected),
		"a range of multicast groups such as 239.7.0.0/16 or ff15::/112, then "
		"prefix=SUBJECT or hops=1 to 255, with commas between");
	return -EINVAL;
}
