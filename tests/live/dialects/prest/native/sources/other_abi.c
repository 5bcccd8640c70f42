/* A library of some later version. */
int plugmw_abi(void) { return 2; }
void plugmw_free(void *response) { (void)response; }
