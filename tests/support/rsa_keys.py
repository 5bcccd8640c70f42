"""RSA keys of known primes: nothing is searched for, and every process of a run has the same ones.

rsa_key(2048).sign(...); the sizes are those below
"""

from __future__ import annotations

import functools

from cryptography.hazmat.primitives.asymmetric import rsa

_EXPONENT = 65537
#: By size in bits, the two primes in hexadecimal. They protect nothing.
_PRIMES = {
    1024: (
        "ee8309af105f05d0bd2fcec9714d1a92a660aabdcf09feb8285d2e931fee13f6fe016bc836a44b843415eb7fd8ca4fb1"
        "d2bbb1c9276409d6c99d2837d77483ab",
        "ed8ae884c336116aabb21cb807e4eebcb97b1ebd38a9af75ab36954fef931f453e5a28009f0c2626a7ebcbf32f8357ff"
        "b9db269a6968191ab6f3c60044a6930b",
    ),
    2048: (
        "e665c646903fb5963a5090134c15accd1edf30c40d129f0944a4d87254e9f0857cdee233d047fd70c41fc8015b2e463e"
        "fca1a99997869a57579b5bfe3d8824863969994334e7ff39f4d41223fb784a55c520c771650b57673540b96dd9ed4408"
        "273382f2f429459466d3a90182f8741f21049cc4e2d5c8bd24dc90ece7ed28e7",
        "e59c2eda09bf2e47f7523174ab6a9f94bf3bb605f07340456af16a2ad1b96ead28614b9f33c2fe9307ce8ad3b9ca6399"
        "0930d56d48fdd7ec717ed39371f5c80b91792ec78ecfdf3c39c33866d01927e3de2ab52da42deb7df1d5582234201d26"
        "f7ba067fb92eb8247371ed5ae2ef642745b0d15c98689a95abad62bba4ce24eb",
    ),
    3072: (
        "c9e512cb68f9dd0b1c6ca0b51b71fa8778b374d0f4b760f041389433ce7c45a801a641d1cec6b57dfb94ede76516e3ad"
        "0daf1c45188842054010ed482aafa32e1c9f8426faab78763593e100b0616e6631ad75d3872068c491cbfba2ab2edd55"
        "2d7c1ef29801fb5bef085a331e84280a5b6b4d1cf7cdb7d2bc0bc95fb891555a2ce5b63cf15349725a1a33efab672f5c"
        "9beb28d1975d144dc7626924149480b496973651cc9ecad7d86202408ad34feaed01c71fa7a12c4c65abd57a768bba8b",
        "bbf6458e30ec0f3622bc31ac0fd8e26cdf27b8c49f16abca01b812ba930d48e1d4b0adfdd6b4b9b83cd2474e5d889c16"
        "69f528f129f9ab70989723602aadfad76d46fde00df34a0b2485c6beb879bcbfe7c527c2820eef6760a75cfa2c7a9d1d"
        "2e0024d31769df73110414fc887c15aeb4797f2e68a1b30ce9e8e49aea3b02069aa3fe0f0ec6562c4a1642ffc2a6dd11"
        "3abc90fef13784761a2385086575a064797a997fe45841ec9151b345eaab93da571e61f345b1f709d1367f45b6ff5b5d",
    ),
}


@functools.cache
def rsa_key(bits: int) -> rsa.RSAPrivateKey:
    """Return the private key of this size."""
    p, q = (int(prime, 16) for prime in _PRIMES[bits])
    d = pow(_EXPONENT, -1, (p - 1) * (q - 1))
    return rsa.RSAPrivateNumbers(
        p=p,
        q=q,
        d=d,
        dmp1=rsa.rsa_crt_dmp1(d, p),
        dmq1=rsa.rsa_crt_dmq1(d, q),
        iqmp=rsa.rsa_crt_iqmp(p, q),
        public_numbers=rsa.RSAPublicNumbers(_EXPONENT, p * q),
    ).private_key()
