/*
 * The inside of EfficientNet-Lite encoders, for tests and measurements: the network without the
 * picture in front of it, at any size, with what every block gives.
 */
#ifndef IST_CORE_ENCODE_EFFICIENTNET_H
#define IST_CORE_ENCODE_EFFICIENTNET_H

#include "core/encode/convnet.h"
#include "core/encode/folder.h"

/* The network of a folder for pictures of height x width, its weights loaded; `kind` as in
 * ist_convnet_create. */
IST_CHECKED enum ist_code ist_efficientnet_open(struct ist_folder *folder,
						const struct ist_convnet_kind *kind,
						uint32_t height, uint32_t width,
						struct ist_convnet **ret, struct ist_err *err);

#endif
