/* openssl_priv.h - the library's headers, beside a name that both of us use
 *
 * OpenSSL has a type ERR_STATE, error.def a code of that name.
 */
#ifndef MORTISE_CODEC_OPENSSL_PRIV_H
#define MORTISE_CODEC_OPENSSL_PRIV_H

#define ERR_STATE OPENSSL_ERR_STATE
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#undef ERR_STATE

#endif
