select revision from ban_list
