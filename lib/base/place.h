/*
 * The directory of a file in a place that other users may have a hand in. Whoever owns a directory of the path can put a symbolic link there
 * at any moment, and would choose where root writes: such a link is followed only into a directory of the one who made it.
 */
#ifndef REEVE_PLACE_H
#define REEVE_PLACE_H

/*
 * Open the directory of PATH for calls such as openat(2). A link of root's or ours may lead anywhere, one of another user's only to a directory
 * that is this user's. *ret_name: the last component, within PATH, which is not looked at. An O_PATH descriptor, the caller's; or -errno:
 * -EPERM: such a link leads elsewhere.
 */
int place_open(const char *path, const char **ret_name);

#endif
