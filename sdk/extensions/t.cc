#include <mortise/work.h>
#include <mortise/work.h>
extern int unit;
int unit;
