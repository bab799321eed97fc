package cli

// imageCommands are those that have to do with images and the store.
func imageCommands() []Command {
	return []Command{
		{"pull", "[FLAGS] IMAGE...", "Download images", pullFlags},
		{"push", "[FLAGS] IMAGE [DESTINATION]", "Send an image to a registry, or write it to a file", pushFlags},
		{"login", "[FLAGS] [REGISTRY]", "Keep the credentials of a registry", loginFlags},
		{"logout", "[FLAGS] [REGISTRY]", "Forget the credentials of a registry", logoutFlags},
		{"images", "[FLAGS] [IMAGE]", "List images", imagesFlags},
		{"history", "[FLAGS] IMAGE", "Show the steps in which an image was made", historyFlags},
		{"save", "[FLAGS] IMAGE...", "Write images to an archive or a directory", saveFlags},
		{"load", "[FLAGS]", "Take images from an archive or a directory", loadFlags},
		{"import", "[FLAGS] FILE|URL|- [NAME]", "Make an image of an archive of files", importFlags},
		{"tag", "IMAGE NAME...", "Give an image more names", tagFlags},
		{"untag", "IMAGE [NAME...]", "Take names from an image", untagFlags},
		{"rmi", "[FLAGS] IMAGE...", "Remove images", rmiFlags},
		{"image diff", "[FLAGS] IMAGE", "List what an image's last layer changed", imageDiffFlags},
		{"image exists", "IMAGE", "Tell by the status whether an image is there", imageExistsFlags},
		{"image prune", "[FLAGS]", "Remove images that are of no use", imagePruneFlags},
		{"image scp", "", "Refused: images are copied by save and load", refusedFlags("image scp", "images are copied by save and load: rl save IMAGE | ssh HOST rl load")},
		{"image sign", "", "Refused: rl does not sign", refusedFlags("image sign", "rl does not sign images")},
		{"image trust", "show|set", "Show whose images are taken: everyone's", imageTrustFlags},
		{"image tree", "[FLAGS] IMAGE", "Show the layers of an image", imageTreeFlags},
		{"system check", "[FLAGS]", "Look whether the images are whole", systemCheckFlags},
		{"system df", "[FLAGS]", "Show what images, containers and volumes take of the disk", systemDfFlags},
		{"system migrate", "", "Accepted for podman's sake: there is nothing to migrate", nothingFlags("system migrate")},
		{"system renumber", "", "Accepted for podman's sake: there are no numbers", nothingFlags("system renumber")},
		{"system reset", "[FLAGS]", "Remove all that rl keeps", systemResetFlags},
		{"system prune", "[FLAGS]", "Remove containers and images that are of no use", systemPruneFlags},
	}
}
