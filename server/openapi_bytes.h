/* openapi.yaml as it was when the program was built. */
#ifndef IST_SERVER_OPENAPI_BYTES_H
#define IST_SERVER_OPENAPI_BYTES_H

#include <stddef.h>

extern const unsigned char ist_openapi_bytes[];
extern const size_t ist_openapi_len;

#endif
