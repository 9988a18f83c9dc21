#!/usr/bin/env bash
# Makes the certificates of tests/redis_tls.rs, valid for a century. They secure nothing: their keys are here.
set -euo pipefail
cd "$(dirname "$0")"
temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT

key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1"; }

# Makes the certificate NAME for KEY from YEAR to YEAR, with an EXTENSION; further arguments say who signs it.
certificate() {
    local name=$1 key=$2 begin=$3 end=$4 extension=$5
    shift 5
    openssl req -new -key "$key" -subj "/CN=$name" -out "$temporary/request"
    : >"$temporary/index"
    printf '%s\n' '[ca]' default_ca=x '[x]' "database=$temporary/index" "new_certs_dir=$temporary" rand_serial=yes \
        default_md=sha256 policy=any '[any]' commonName=supplied '[extensions]' "$extension" >"$temporary/config"
    openssl ca -batch -notext -config "$temporary/config" -extensions extensions -in "$temporary/request" \
        -startdate "${begin}0101000000Z" -enddate "${end}0101000000Z" -out "$name.crt" "$@"
}

for authority in ca other-ca; do
    key "$temporary/$authority.key"
    certificate "$authority" "$temporary/$authority.key" 2024 2124 basicConstraints=critical,CA:TRUE \
        -selfsign -keyfile "$temporary/$authority.key"
done
by_ca=(-cert ca.crt -keyfile "$temporary/ca.key")
key server.key
certificate server server.key 2024 2124 subjectAltName=IP:127.0.0.1 "${by_ca[@]}"
key client.key
certificate client client.key 2024 2124 extendedKeyUsage=clientAuth "${by_ca[@]}"
certificate expired-client client.key 2023 2024 extendedKeyUsage=clientAuth "${by_ca[@]}"
