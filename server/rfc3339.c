/* Times on the wire. No locale and no time zone takes part. */
#include "server/rfc3339.h"

#include <stdio.h>
#include <time.h>

int64_t ist_now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

void ist_rfc3339(int64_t us, char ret[IST_RFC3339_SIZE])
{
	time_t seconds = (time_t)(us / 1000000);
	struct tm tm;

	gmtime_r(&seconds, &tm);
	snprintf(ret, IST_RFC3339_SIZE, "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ",
		 (tm.tm_year + 1900) % 10000, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
		 tm.tm_sec, (int)(us % 1000000));
}

json_t *ist_rfc3339_json(int64_t us)
{
	char text[IST_RFC3339_SIZE];

	if (us == 0)
		return json_null();
	ist_rfc3339(us, text);
	return json_string(text);
}
