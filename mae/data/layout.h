/* layout.h - which folders of a tree hold classes and images. Internal to the data module. */
#ifndef MAE_DATA_LAYOUT_H
#define MAE_DATA_LAYOUT_H

#include "mae/data/names.h"
#include "mae/data/tree.h"

/* Makes the one folder that `is_top` knows the tree's top: the present one, or else one at most
 * LAYOUT_DEPTH levels below, as data sets are mounted or zipped in folders of their own. Two of
 * them at one level are an error; none leaves the tree as it is. */
enum { LAYOUT_DEPTH = 4 };
typedef bool (*LayoutIsTop)(const Tree *, const char *folder);
bool layout_enter(Tree *, LayoutIsTop is_top, Error *);
/* Whether there is a folder of this name below `folder`. */
bool layout_has_folder(const Tree *, const char *folder, const char *name);

/* The folder of the held-out images: the first of val, valid, validation and test that holds class
 * folders or the file `annotations` (NULL: none is known). Otherwise val when it is there, so that
 * what is wrong in it is told, or else an error. The name is a constant. */
const char *layout_held_out(const Tree *, const char *annotations, Error *);
/* Whether a folder holds class folders: any but images, as in the published TinyImageNet. */
bool layout_has_classes(const Tree *, const char *folder);

/* Both make a list, count what they pass over, and fail when the folder is not there or has none.
 * The folders in a folder, sorted; those whose name begins with a dot are hidden. what: what they
 * are, for the message. */
bool layout_folders(NameList *, const Tree *, const char *folder, const char *what, PassedOver *,
                    Error *);
/* The JPEG and PNG files, by their endings, in a folder and the folders below it, in the order of
 * torchvision's ImageFolder: by folder, then by name. Links are followed, unless they lead to a
 * folder that they lie in. */
bool layout_images(NameList *, const Tree *, const char *folder, PassedOver *, Error *);

#endif
